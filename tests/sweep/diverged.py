"""Learning rates from 1e-38 to 1e38 with every optimizer: a loss that is not finite stops a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lenet.recording import checkpoints, runs
from lenet.registry import OPTIMIZERS

from . import Trial, _runs

FAULT = "The learning rate is anything from 1e-38 to 1e38, with every optimizer"
PROMISE = (
    'A loss that is not finite stops the run: its state is "diverged", the step is named, and the '
    "exit code is 3. The weights of every checkpoint are finite. A resume is refused with the reason."
)
SAMPLE = 1
EXPONENTS = range(-38, 39, 4)


def trials(folder: Path) -> Iterator[Trial]:
    """Twenty rates for each optimizer."""
    for optimizer in OPTIMIZERS:
        for exponent in reversed(EXPONENTS):
            run = partial(_train, folder / "logdir", optimizer, f"1e{exponent}")
            yield Trial(f"{optimizer}, rate 1e{exponent}", run)


def _train(logdir: Path, optimizer: str, rate: str) -> None:
    run = _runs.fresh(logdir) / _runs.RUN
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        ended = _runs.start(logdir, "--optimizer", optimizer, "--learning-rate", rate)
    status = runs.read_status(run)
    newest = checkpoints.newest_valid(run / runs.CHECKPOINTS)
    if newest is not None:
        arrays = newest.model_arrays()
        assert all(np.isfinite(array).all() for array in arrays.values()), newest.step
    if ended.code == 0:
        assert status["state"] == "done" and np.isfinite(status["test_loss"])
        return
    assert ended.code == 3, ended
    assert status["state"] == "diverged"
    assert f"Stopped at step {status['step']}: " in ended.errors, ended
    assert newest is None or newest.step <= status["step"]
    again = _runs.resume(run)
    _runs.check_error(again, run, "diverged", f"step {status['step']}")
    assert runs.read_status(run) == status
