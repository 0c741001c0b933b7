"""Starts TensorFlow quietly, with threads that change the speed and never the bits."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def start_tensorflow(threads: int = 2, deterministic: bool = True, lean: bool = False) -> None:
    """Imports TensorFlow and configures it; see `import_tensorflow` and `configure_tensorflow`."""
    import_tensorflow(lean)
    configure_tensorflow(threads, deterministic)


def import_tensorflow(lean: bool = False) -> None:
    """Imports TensorFlow without the lines that its C++ libraries print.

    Args:
        lean: keep Keras from importing scikit-learn and matplotlib, for wrappers and galleries
            that a command-line program does not use: it starts a second sooner.
    """
    with quiet_stderr():
        with hidden("sklearn", "matplotlib") if lean else contextlib.nullcontext():
            import tensorflow as tf

        # A network made before there is a Trainer starts the devices with these settings.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)


def configure_tensorflow(threads: int = 2, deterministic: bool = True) -> str:
    """Sets TensorFlow's threads: one within an operation, `threads` between them.

    Each operation runs on one thread, so its sums are always made in the same order; the
    towers of a batch run side by side. If TensorFlow is already running (in a notebook), it
    keeps the thread settings it has.

    Args:
        threads: how many operations may run at once.
        deterministic: refuse operations whose result may differ from run to run.

    Returns:
        What the user should know, or "".
    """
    import tensorflow as tf

    note = ""
    threading = tf.config.threading
    with quiet_stderr():
        try:
            threading.set_intra_op_parallelism_threads(1)
            threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            note = _settings_that_stay(threads)
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        tf.constant(0)  # The devices start here, and print lines while they do.
    return note


def _settings_that_stay(threads: int) -> str:
    """What it means that TensorFlow was already running; "" if it makes no difference."""
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != 1:
        return (
            "TensorFlow was already running, so it keeps its own thread settings: the same seed "
            "may give other bits than on the command line."
        )
    running = tf.config.threading.get_inter_op_parallelism_threads()
    if running != threads:
        return (
            f"TensorFlow was already running with {running} threads, so threads={threads} has no "
            "effect. This changes the speed, not the bits."
        )
    return ""


@contextlib.contextmanager
def hidden(*packages: str) -> Iterator[None]:
    """Makes packages that are not yet imported look as if they were not installed."""
    absent = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps what C++ libraries print on stderr off the screen, unless the block fails.

    TensorFlow's import prints past every log level it offers, straight to the file descriptor.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(screen, 2)
            captured.seek(0)
            os.write(2, captured.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)


def describe_environment() -> dict[str, Any]:
    """The versions and the machine a run's bits and speed depend on, as JSON values."""
    import keras
    import numpy as np
    import tensorflow as tf

    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "cpu_model": cpu_model(),
        "cpus": os.cpu_count(),
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
    }


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
