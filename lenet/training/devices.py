"""Chooses where a network is trained: on the processor or on a GPU."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

AUTO, CPU, GPU = "auto", "cpu", "gpu"
# On Linux, a driver for GPUs creates one of these files.
DRIVER_FILES = ("nvidia[0-9]*", "kfd")
COUNT = "from lenet.training import devices; print(devices.count_gpus())"

_claimed: list[tuple[int, IO[str]]] = []


def count_gpus() -> int:
    """The number of GPUs that TensorFlow can use."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def count_for(device: str) -> int:
    """The number of GPUs for the workers of a grid; 0: they train on the processors.

    It does not load TensorFlow in this process. If there may be a GPU, another process does.

    Args:
        device: "auto", "cpu", "gpu", or e.g. "gpu:1".

    Raises:
        ValueError: the computer has no such GPU.
    """
    drivers = [path for pattern in DRIVER_FILES for path in Path("/dev").glob(pattern)]
    if device == CPU or (device == AUTO and not drivers and sys.platform != "darwin"):
        return 0
    asked = subprocess.run(
        [sys.executable, "-c", COUNT], capture_output=True, text=True, check=False
    )
    available = int(asked.stdout) if asked.returncode == 0 else 0
    if device == AUTO:
        return available
    if available <= (number_of(device) or 0):
        raise ValueError(missing(device, available))
    return available if device == GPU else 1


def for_workers(device: str, gpus: int) -> str:
    """The device of a grid's runs: "cpu", "gpu" (each worker its own), or e.g. "gpu:1".

    Args:
        gpus: see `count_for`.
    """
    return device if device != AUTO else (GPU if gpus else CPU)


def concrete(device: str) -> str:
    """The device that an option stands for: "cpu" or e.g. "gpu:0".

    Args:
        device: "auto", "cpu", "gpu" (the first GPU), or e.g. "gpu:1".
    """
    if device == AUTO:
        device = GPU if count_gpus() else CPU
    return f"{GPU}:0" if device == GPU else device


def activate(device: str) -> str:
    """Lets TensorFlow use only one device. Its memory grows as needed.

    Call it before the first operation. Later, TensorFlow keeps the devices it has.

    Args:
        device: "cpu" or e.g. "gpu:1".

    Returns:
        TensorFlow's name of the device, for `tf.device`.

    Raises:
        ValueError: the GPU does not exist, or TensorFlow already runs without it.
    """
    import tensorflow as tf

    number = number_of(device)
    gpus = tf.config.list_physical_devices("GPU")
    if number is not None and number >= len(gpus):
        raise ValueError(missing(device, len(gpus)))
    chosen = [] if number is None else [gpus[number]]
    with contextlib.suppress(RuntimeError):
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, True)
    try:
        tf.config.set_visible_devices(chosen, "GPU")
        position = 0
    except RuntimeError:  # TensorFlow is already running, so no GPU was hidden just now.
        position = number or 0
    if number is None:
        return "/device:CPU:0"
    logical = tf.config.list_logical_devices("GPU")
    if position >= len(logical):
        raise ValueError(
            f"TensorFlow is already running without {device}. Start a new process to use it."
        )
    return logical[position].name


def number_of(device: str) -> int | None:
    """The number of a GPU: 1 for "gpu:1", 0 for "gpu"; None for "cpu"."""
    return None if device == CPU else int(device.removeprefix(GPU).removeprefix(":") or 0)


def missing(device: str, available: int) -> str:
    """The error message for a GPU that does not exist."""
    found = f"only gpu:0 to gpu:{available - 1}" if available else "no GPU"
    return (
        f"Cannot train on {device}: TensorFlow finds {found} on this computer. "
        f"Choose {'one of them' if available else 'cpu'} with --device."
    )


def model_name(device: str) -> str:
    """The GPU's model, e.g. "NVIDIA A100"; "" for the processor or if it is unknown."""
    import tensorflow as tf

    number, gpus = number_of(device), tf.config.list_physical_devices("GPU")
    if number is None or number >= len(gpus):
        return ""
    return str(tf.config.experimental.get_device_details(gpus[number]).get("device_name", ""))


def claim_gpu(available: int) -> str:
    """Reserves a GPU that no other process on this computer has reserved, until this process ends.

    A process that asks again gets the same GPU.

    Args:
        available: the number of GPUs.

    Returns:
        The device, e.g. "gpu:1".

    Raises:
        ValueError: all GPUs are reserved.
    """
    if _claimed:
        return f"{GPU}:{_claimed[0][0]}"
    for number in range(available):
        # The system releases the lock when the process ends, however it ends.
        file = _lock_file(number).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _claimed.append((number, file))
        return f"{GPU}:{number}"
    raise ValueError(
        f"Other processes already train on all {available} GPUs of this computer. "
        "Use fewer --workers, or --device cpu."
    )


def _lock_file(number: int) -> Path:
    return Path(tempfile.gettempdir()) / f"lenet-user{os.getuid()}-gpu{number}.lock"
