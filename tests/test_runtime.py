"""TensorFlow starts quietly, with settings that never change the bits."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from lenet.training.runtime import (
    configure_tensorflow,
    describe_environment,
    no_garbage_collection,
    quiet_stderr,
)


def test_what_a_library_says_is_kept_off_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"noise from below\n")
    print("a message", file=sys.stderr)
    assert capfd.readouterr().err == "a message\n"


def test_where_it_fails_everything_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), quiet_stderr():
        os.write(2, b"the reason\n")
        raise ImportError
    assert capfd.readouterr().err == "the reason\n"


def test_after_ctrl_c_nothing_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), quiet_stderr():
        os.write(2, b"noise from below\n")
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""


def test_garbage_is_collected_again_after_a_failed_import() -> None:
    with pytest.raises(ImportError), no_garbage_collection():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_one_thread_within_an_operation_and_deterministic_ones_alone() -> None:
    assert configure_tensorflow() == ("/device:CPU:0", "")
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert is_op_determinism_enabled()


def test_the_environment_names_what_bits_depend_on() -> None:
    environment = describe_environment()
    assert environment["tensorflow"] == tf.__version__
    assert environment["intra_op_threads"] == 1
    assert environment["cpu_model"]
    assert set(environment) >= {"python", "keras", "numpy", "cpus", "inter_op_threads"}


def test_a_script_that_reads_a_run_prints_nothing_of_its_own(root: Path) -> None:
    script = "import lenet.trained, tensorflow; tensorflow.constant(0)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
