"""Starts TensorFlow quietly, with threads that change only the speed, not the results."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lenet.training import devices


def start_tensorflow(
    threads: int = 2, deterministic: bool = True, device: str = devices.CPU, lean: bool = False
) -> None:
    """Imports TensorFlow and configures it; see `import_tensorflow` and `configure_tensorflow`."""
    import_tensorflow(lean)
    configure_tensorflow(threads, deterministic, device)


def import_tensorflow(lean: bool = False) -> None:
    """Imports TensorFlow without the lines that its C++ libraries print.

    Args:
        lean: for a command-line program: prevent Keras from importing scikit-learn and matplotlib.
            The program does not use the parts of Keras that need them, and starts about one second
            faster.
    """
    loads_now = "tensorflow" not in sys.modules
    with quiet_stderr():
        with (
            hidden("sklearn", "matplotlib") if lean else contextlib.nullcontext(),
            no_garbage_collection(),
        ):
            import tensorflow as tf
        if lean and loads_now:
            # The garbage collector ignores frozen objects, here those of TensorFlow. Without the
            # second line, it would look at all other objects when the program ends, for 0.6 s.
            gc.freeze()
            atexit.register(gc.freeze)

        tf.config.list_physical_devices()  # The first call prints lines if there is no GPU.
        # The first network starts the devices with these settings, even if there is no Trainer yet.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Pauses the garbage collector. An import makes many objects, but hardly any garbage.

    Without this pause, the import of TensorFlow takes a quarter longer.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def configure_tensorflow(
    threads: int = 2, deterministic: bool = True, device: str = devices.CPU
) -> tuple[str, str]:
    """Sets the device of TensorFlow and its threads: one within an operation, `threads` in all.

    Each operation runs on one thread, so its sums are always computed in the same order. The
    towers of a batch run in parallel. If TensorFlow is already running (in a notebook), it keeps
    its current thread settings.

    Args:
        threads: the maximum number of operations that run in parallel.
        deterministic: reject operations whose result may differ from run to run.
        device: "auto", "cpu", "gpu", or e.g. "gpu:1".

    Returns:
        TensorFlow's name of the device, and a note for the user or "".

    Raises:
        ValueError: the computer has no such GPU, or TensorFlow is already running without it.
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
        name = devices.activate(devices.concrete(device))
        tf.constant(0)  # The devices start here, and print lines while they do.
    return name, note


def _settings_that_stay(threads: int) -> str:
    """A note if TensorFlow was already running with different settings, or ""."""
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != 1:
        return (
            "TensorFlow was already running, so it keeps its own thread settings. The same seed "
            "may lead to different weights than on the command line."
        )
    running = tf.config.threading.get_inter_op_parallelism_threads()
    if running != threads:
        return (
            f"TensorFlow was already running with {running} threads, so threads={threads} has no "
            "effect. This changes the speed, not the weights."
        )
    return ""


@contextlib.contextmanager
def hidden(*packages: str) -> Iterator[None]:
    """Hides packages that are not yet imported, as if they were not installed."""
    absent = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hides what C++ libraries print on stderr, unless the block fails.

    The import of TensorFlow prints directly to the file descriptor, whatever the log level is.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except Exception:  # After Ctrl-C, the lines would explain nothing.
            sys.stderr.flush()
            os.dup2(screen, 2)
            captured.seek(0)
            os.write(2, captured.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)


def describe_environment(device: str = devices.CPU) -> dict[str, Any]:
    """The versions and the machine, on which weights and speed depend, as JSON values.

    Args:
        device: "cpu" or e.g. "gpu:1".
    """
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
        "gpu_model": devices.model_name(device),
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
    }


def cpu_model() -> str:
    """The name of the processor, or of its architecture if the system does not provide it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
