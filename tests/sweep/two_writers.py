"""Two processes that start or resume the same run at the same time, and disks without locks."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lenet.recording import runs

from . import Trial, _runs
from ._zygote import zygote

FAULT = "Two processes start or resume the same run at the same time; or the disk does not support locks"
PROMISE = (
    "Exactly one process trains. The other ends with exit code 2 and one line that names the run."
)
SAMPLE = 1
PAIRS = 50
REASONS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ESTALE, errno.EACCES)


def trials(folder: Path) -> Iterator[Trial]:
    """Errors of locks, and pairs of processes."""
    for reason in REASONS:
        run = partial(_no_lock, folder / "logdir", reason)
        yield Trial(f"locking fails: {os.strerror(reason)}", run)
    rng = random.Random(0)
    for number in range(PAIRS):
        run = partial(_pair, folder / "logdir", number % 2 == 0, rng.choice([0, rng.uniform(0, 1)]))
        yield Trial(f"pair {number}", run, slow=True)


def _no_lock(logdir: Path, reason: int) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(reason, os.strerror(reason))

    run = _runs.fresh(logdir) / _runs.RUN
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        ended = _runs.start(logdir)
    _runs.check_error(ended, run, os.strerror(reason), "--logdir")
    assert not (run / runs.CONFIG).exists()


def _pair(logdir: Path, resumed: bool, seconds: float) -> None:
    run = _runs.fresh(logdir) / _runs.RUN
    words = _runs.arguments(logdir)
    if resumed:
        shutil.copytree(_runs.whole(), run)
        shutil.rmtree(run / runs.CHECKPOINTS / runs.step_name(_runs.LAST_STEP))
        words = ["--resume", str(run), "--quiet"]
    errors = [logdir.with_name(f"errors-{number}.txt") for number in range(2)]
    first = zygote().start(words, errors[0])
    time.sleep(seconds)
    second = zygote().start(words, errors[1])
    codes = [zygote().wait(process) for process in (first, second)]
    if codes == [0, 0]:  # The second one resumed what the first one had finished.
        assert resumed and "already" not in errors[1].read_text()
    else:
        assert sorted(codes) == [0, 2], codes
        refused = errors[codes.index(2)].read_text()
        _runs.check_error(_runs.Ended(2, refused), run)
    _runs.check_complete(run)
