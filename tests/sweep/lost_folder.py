"""The folder of a run is deleted, replaced, unmounted or made read-only while it trains."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lenet.recording import runs

from . import Trial, _runs

FAULT = (
    "The folder of a run, or train/ in it, is deleted, replaced by an empty one, unmounted or "
    "made read-only during training"
)
PROMISE = (
    "The program notices it at the next write, names the place and ends with exit code 2. After a "
    "disk was read-only for a while, the run continues and ends with the same weights."
)
SAMPLE = 1
MOMENTS = 20


def trials(folder: Path) -> Iterator[Trial]:
    """Twenty moments for each of five faults."""
    _runs.need_mounts()
    rng = random.Random(0)
    for number in range(MOMENTS):
        step = rng.randrange(1, _runs.LAST_STEP)
        for fault in (_deleted, _train_deleted, _replaced, _unmounted, _read_only):
            name = f"{fault.__name__.strip('_')} after step {step} ({number})"
            yield Trial(name, partial(fault, folder / "disk", step))


def _start(disk: Path, step: int, fault: Callable[[], None]) -> _runs.Ended:
    """Trains, and makes the fault as soon as a step is reached. Only then may writing go on."""
    made: list[int] = []

    def hook(now: int) -> None:
        if now >= step and not made:
            made.append(now)
            fault()

    ended = _runs.start(disk, hook=hook)
    assert made
    return ended


def _deleted(disk: Path, step: int) -> None:
    run = _runs.fresh(disk) / _runs.RUN
    ended = _start(disk, step, lambda: shutil.rmtree(run))
    _runs.check_error(ended, run, "Start a new one")
    assert not run.exists(), "the deleted folder is written again"


def _train_deleted(disk: Path, step: int) -> None:
    run = _runs.fresh(disk) / _runs.RUN
    ended = _start(disk, step, lambda: shutil.rmtree(run / "train"))
    _runs.check_error(ended, run / "train", "--resume")
    assert runs.read_status(run)["state"] == "failed"


def _replaced(disk: Path, step: int) -> None:
    run = _runs.fresh(disk) / _runs.RUN

    def replace() -> None:
        shutil.rmtree(run)
        run.mkdir()

    ended = _start(disk, step, replace)
    _runs.check_error(ended, run, "Start a new one")
    assert list(run.iterdir()) == [], "the new folder is written"


def _unmounted(disk: Path, step: int) -> None:
    _runs.mount(_runs.fresh(disk), "-t", "tmpfs", "tmpfs")
    ended = _start(disk, step, lambda: _runs.unmount(disk, "--lazy"))
    _runs.check_error(ended, disk, "Start a new one")
    assert list(disk.iterdir()) == [], "the folder below the disk is written"


def _read_only(disk: Path, step: int) -> None:
    """A disk on which Linux found an error: it allows no more writing, not even to open files."""
    image = disk.with_name("disk.img")
    image.write_bytes(bytes(8 * 2**20))
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    _runs.mount(disk, "-o", "loop", str(image))
    try:
        run = disk / _runs.RUN
        ended = _start(disk, step, lambda: _runs.mount(disk, "-o", "remount,abort"))
        _runs.check_error(ended, run, "Read-only file system", "Make it writable", "--resume")
        _runs.unmount(disk)
        _runs.mount(disk, "-o", "loop", str(image))
        again = _runs.resume(run) if (run / runs.CONFIG).exists() else _runs.start(disk)
        assert again.code == 0, again
        # What was not synced to this disk is lost, as after a power failure.
        assert runs.read_status(run)["weights_sha256"] == _runs.weights_sha256()
    finally:
        _runs.unmount(disk)
