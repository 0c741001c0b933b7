"""SIGKILL at every operation of a save, and at random moments of a run."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lenet.recording import checkpoints, runs

from . import Trial, _runs
from ._saving import Operation
from ._zygote import zygote

FAULT = (
    "The process is killed (SIGKILL): before, in and after every operation of a save on the disk, "
    "and at random moments of a run"
)
PROMISE = (
    "The run continues from a valid checkpoint. Weights, event files and metrics.csv are as if it "
    "had never been killed."
)
SAMPLE = 1
MOMENTS = 60
BEFORE, DURING = 4, 6  # The step of the checkpoint that exists, and the one that is saved.


def trials(folder: Path) -> Iterator[Trial]:
    """Every operation in two situations, and random moments."""
    for damaged in (False, True):
        operations = record(_crashed(folder / "recorded", damaged), folder / "log")
        for number, operation in enumerate(operations):
            for when in ("before", "half", "after"):
                if when != "half" or operation[0] == "write":
                    what = f"{when} {operation[0]} {Path(operation[-2 if operation[0] == 'write' else -1]).name}"
                    over = "over a damaged checkpoint" if damaged else "saving"
                    run = partial(_in_a_save, folder / "run", damaged, number, when)
                    yield Trial(f"{over}, operation {number}: {what}", run)
    rng = random.Random(0)
    for number in range(MOMENTS):
        moment = partial(_at_a_moment, folder / "logdir", rng.uniform(0.05, 2.5))
        yield Trial(f"moment {number}", moment, slow=True)


def record(run: Path, log: Path) -> list[Operation]:
    """The operations of a save in a run folder, in order, which are made."""
    save(run, "record", str(log)).check_returncode()
    return pickle.loads(log.read_bytes())


def save(run: Path, *mode: str) -> subprocess.CompletedProcess[bytes]:
    """Saves the checkpoint of step DURING in a process of its own; see `_saving`."""
    source = _runs.whole() / runs.CHECKPOINTS / runs.step_name(DURING)
    name = f"{__package__}._saving"
    command = [sys.executable, "-m", name, str(source), str(run), "1", *mode]
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)


def _crashed(run: Path, damaged: bool) -> Path:
    """A run folder with one checkpoint, perhaps also with a damaged newer one."""
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(_runs.whole(), run)
    newest = run / runs.CHECKPOINTS / runs.step_name(DURING)
    if damaged:
        (newest / checkpoints.MODEL).write_bytes(b"")
    else:
        shutil.rmtree(newest)
    return run


def _in_a_save(run: Path, damaged: bool, number: int, when: str) -> None:
    _crashed(run, damaged)
    ended = save(run, "kill", str(number), when)
    assert ended.returncode == -signal.SIGKILL, ended
    found = checkpoints.newest_valid(run / runs.CHECKPOINTS)
    assert found is not None and found.step in (BEFORE, DURING)
    again = _runs.resume(run)
    assert again.code == 0, again
    _runs.check_complete(run)


def _at_a_moment(logdir: Path, seconds: float) -> None:
    """Kills a run three times, each time some seconds after its start, then lets it end."""
    run = _runs.fresh(logdir) / _runs.RUN
    errors = logdir.with_name("errors.txt")
    for last in (False, False, False, True):
        begun = (run / runs.CONFIG).exists()
        words = ["--resume", str(run)] if begun else _runs.arguments(logdir)
        process = zygote().start([*words, "--quiet"], errors)
        if not last:
            time.sleep(seconds)
            os.kill(process, signal.SIGKILL)
        code = zygote().wait(process)
        if code == 0:
            break
        assert code == -signal.SIGKILL and not last, errors.read_text()
    _runs.check_complete(run)
