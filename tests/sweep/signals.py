"""SIGINT and SIGTERM at random moments: while TensorFlow loads, in training, and while drawing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lenet.recording import runs

from . import Trial, _runs
from ._zygote import ROOT, zygote

FAULT = "Ctrl-C (SIGINT) or SIGTERM at random moments, from the start of the process to its end; or twice"
PROMISE = (
    "Training stops at the next step with a checkpoint and exit code 130 or 143, and the run "
    "continues as if nothing had happened. A second signal ends the process at once."
)
SAMPLE = 2
SIGNALS = (signal.SIGINT, signal.SIGTERM)
MOMENTS, STARTS, SECOND = 50, 10, 10


def trials(folder: Path) -> Iterator[Trial]:
    """Steps in this process; random moments of loaded programs, and of the start of programs."""
    rng = random.Random(0)
    for number in SIGNALS:
        for step in range(_runs.LAST_STEP):
            run = partial(_after_a_step, folder / "logdir", number, step)
            yield Trial(f"{number.name} after step {step}", run)
    for number in SIGNALS:
        for moment in range(MOMENTS):
            seconds = rng.uniform(0, 5)
            run = partial(_at_a_moment, folder / "logdir", number, seconds)
            yield Trial(f"{number.name} after {seconds:.2f} s ({moment})", run, slow=True)
        for _ in range(STARTS):
            seconds = rng.uniform(0.3, 5)
            run = partial(_while_starting, folder / "logdir", number, seconds)
            yield Trial(f"{number.name} {seconds:.2f} s after the start", run, slow=True)
        for moment in range(SECOND):
            run = partial(_twice, folder / "logdir", number, rng.uniform(1, 3))
            yield Trial(f"{number.name} twice ({moment})", run, slow=True)


def _after_a_step(logdir: Path, number: signal.Signals, step: int) -> None:
    sent: list[int] = []

    def hook(now: int) -> None:
        if now >= step and not sent:
            sent.append(now)
            os.kill(os.getpid(), number)

    ended = _runs.start(_runs.fresh(logdir), hook=hook)
    run = logdir / _runs.RUN
    if sent[0] == _runs.LAST_STEP:
        assert ended.code == 0, ended
    else:
        assert ended.code == 128 + number, ended
        status = runs.read_status(run)
        assert status["state"] == "interrupted" and status["step"] >= sent[0], status
        assert _runs.resume(run).code == 0
    _runs.check_complete(run)


def _words(logdir: Path) -> list[str]:
    """A run that also draws its figures, and takes a few seconds."""
    words = [word for word in _runs.arguments(logdir) if word != "--no-figures"]
    return [*words, "--epochs", "2", "--figures"]


def _at_a_moment(logdir: Path, number: signal.Signals, seconds: float) -> None:
    run, errors = _runs.fresh(logdir) / _runs.RUN, logdir.with_name("errors.txt")
    process = zygote().start(_words(logdir), errors)
    time.sleep(seconds)
    os.kill(process, number)
    _check(run, number, zygote().wait(process), errors.read_text())


def _while_starting(logdir: Path, number: signal.Signals, seconds: float) -> None:
    run, errors = _runs.fresh(logdir) / _runs.RUN, logdir.with_name("errors.txt")
    command = [sys.executable, "-m", "lenet.train", *_words(logdir)]
    with (
        errors.open("w") as file,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=file) as process,
    ):
        time.sleep(seconds)
        process.send_signal(number)
        code = process.wait(60)
    _check(run, number, code, errors.read_text())


def _check(run: Path, number: signal.Signals, code: int, errors: str) -> None:
    """Nothing was saved yet, or a checkpoint was, or the run is complete."""
    assert code in (0, 128 + number, -number), (code, errors)
    assert "Traceback" not in errors, errors
    state = runs.read_status(run).get("state")
    if state == "done":
        return _runs.check_complete(run)
    assert code != 0, errors
    if state is None:
        # The signal came before training. Its default action may be all that happened.
        shutil.rmtree(run, ignore_errors=True)
        again = _runs.start(run.parent)
    else:
        assert (code, state) == (128 + number, "interrupted"), (code, state, errors)
        again = _runs.resume(run)
    assert again.code == 0, again
    return _runs.check_complete(run)


def _twice(logdir: Path, number: signal.Signals, seconds: float) -> None:
    """The second signal comes before the first one is answered, or after the process has ended."""
    errors = logdir.with_name("errors.txt")
    words = [*_runs.arguments(_runs.fresh(logdir)), "--epochs", "500"]
    process = zygote().start(words, errors)
    time.sleep(seconds)
    os.kill(process, number)
    time.sleep(0.02)
    os.kill(process, number)
    started = time.monotonic()
    code = zygote().wait(process)
    assert time.monotonic() - started < 1.5
    assert code in (-number, 128 + number), (code, errors.read_text())
