"""Training on a disk that fills up, in steps of 4 KiB, and on one that is full for a moment."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lenet.recording import checkpoints, runs

from . import Trial, _runs

FAULT = "The disk is full during training: for good (each size of the disk in steps of 4 KiB), or only for a moment"
PROMISE = (
    "The program names the place and the remedy, with exit code 2. Nothing saved before is lost. "
    "After a resume, weights, event files and metrics.csv are as if nothing had happened."
)
SAMPLE = 1
BLOCK = 4096
MOMENTS = 100
PLENTY = 64 * 2**20


def trials(folder: Path) -> Iterator[Trial]:
    """Every size of the disk, and a hundred moments."""
    _runs.need_mounts()
    needed = _runs.size_on_disk(_runs.whole()) + 4 * BLOCK
    for size in range(BLOCK, needed, BLOCK):
        yield Trial(f"a disk of {size // 1024} KiB", partial(_too_small, folder / "disk", size))
    rng = random.Random(0)
    for number in range(MOMENTS):
        first = rng.randrange(1, _runs.LAST_STEP)
        spare, length = rng.randrange(0, 60_000), rng.randrange(1, 3)
        yield Trial(
            f"moment {number}: {spare:,} bytes free from step {first}, for {length} calls",
            partial(_for_a_moment, folder / "disk", first, spare, length),
        )


def _too_small(disk: Path, size: int) -> None:
    run = disk / _runs.RUN
    with _runs.small_disk(disk, size):
        ended = _runs.start(disk)
        if ended.code == 0:
            _runs.check_complete(run)
            return
        _runs.check_error(ended, disk, "Free some space")
        _check_what_is_left(run)
        _runs.resize(disk, PLENTY)
        again = _runs.resume(run) if (run / runs.CONFIG).exists() else _runs.start(disk)
        assert again.code == 0, again
        _runs.check_complete(run)


def _check_what_is_left(run: Path) -> None:
    """The status is no longer "running", and every checkpoint is valid."""
    assert runs.read_status(run).get("state") in ("failed", None)
    newest = checkpoints.newest_valid(run / runs.CHECKPOINTS)
    assert newest is None or not newest.skipped, newest


def _for_a_moment(disk: Path, first: int, spare: int, length: int) -> None:
    """Fills the disk after some call, and frees it again after a few more."""
    ballast, calls = disk / "ballast", 0

    def hook(step: int) -> None:
        nonlocal calls
        if step < first or calls > length:
            return
        if calls == 0:
            _fill(disk, ballast, spare)
        elif calls == length:
            ballast.unlink()
        calls += 1

    run = disk / _runs.RUN
    with _runs.small_disk(disk, 8 * 2**20):
        ended = _runs.start(disk, hook=hook)
        ballast.unlink(missing_ok=True)
        if ended.code != 0:
            _runs.check_error(ended, run, "Free some space", "--resume")
            _check_what_is_left(run)
            again = _runs.resume(run)
            assert again.code == 0, again
        _runs.check_complete(run)


def _fill(disk: Path, ballast: Path, spare: int) -> None:
    """Fills a disk except for some bytes."""
    import os

    space = os.statvfs(disk)
    with ballast.open("wb") as file:
        file.write(bytes(max(0, space.f_bavail * space.f_frsize - spare)))
