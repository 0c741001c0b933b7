"""Killed processes of a grid: its workers at every moment, all of them again and again, the grid itself.

The trials use real processes and SIGKILL. What they train is tiny, so that they mostly test what lies
between the runs.
"""

from __future__ import annotations

import contextlib
import functools
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from experiments.grid import dispatch
from lenet.recording import runs

from . import HERE, Trial

ROOT = HERE.parent.parent
FAULT = "Processes of a grid are killed"
PROMISE = (
    "Every combination is trained once, with the same weights as without a kill. A run that kills its "
    "worker every time is given up and named, and the others go on. After the grid itself was "
    "killed, no process stays, and the same command continues. Never a traceback."
)
SAMPLE = 1  # A trial takes 10 seconds or more. By default, test_cluster.py also kills workers.

OPTIONS = "--dataset digits --model mlp --activation relu --max-steps 20 --checkpoint-every 5 "
OPTIONS += "--inspect-every 0 --optimizers sgd adam --seeds"
FEW, MANY = ("0",), tuple(map(str, range(20)))
POISON = "relu-adam-seed0"
STORM_SECONDS, STORMS = 2.0, 5
LAST = f"{runs.CHECKPOINTS}/{runs.step_name(20)}"
PATIENCE, POLL_SECONDS = 900, 0.02
# Dask's nanny processes end by themselves within this time after the death of the grid.
LEAVE_SECONDS = 10


class Grid:
    """A grid in a process of its own, and what was seen of it.

    Args:
        folder: its `--logdir`.
        seeds: it trains two runs for each.
        workers: its number of workers.
    """

    def __init__(self, folder: Path, seeds: Sequence[str], workers: int) -> None:
        self.folder, self.started = folder / "grid", time.monotonic()
        words = [sys.executable, "-m", "experiments.grid", *OPTIONS.split(), *seeds]
        words += ["--workers", str(workers), "--logdir", str(folder)]
        self._out, self._err = ((folder / name).open("w+") for name in ("out.txt", "err.txt"))
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=self._out, stderr=self._err)
        self._known = psutil.Process(self.process.pid)
        self.seen: dict[int, psutil.Process] = {}

    def workers(self) -> list[psutil.Process]:
        """The worker processes that are alive, the oldest first."""
        with contextlib.suppress(psutil.Error):
            for child in self._known.children(recursive=True):
                self.seen.setdefault(child.pid, child)
        return [each for each in self.seen.values() if _is_worker(each)]

    def run(self, kill: Callable[[Grid], None]) -> tuple[int, str, str]:
        """Calls `kill` again and again until the grid has ended; returns its exit code and output."""
        try:
            while self.process.poll() is None:
                assert time.monotonic() - self.started < PATIENCE, "it does not end"
                self.workers()
                kill(self)
                time.sleep(POLL_SECONDS)
        finally:
            self.process.kill()
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read())
            file.close()
        return self.process.returncode, *texts

    def check_nothing_stays(self) -> None:
        """Checks that all processes of the grid end."""
        _, alive = psutil.wait_procs(list(self.seen.values()), timeout=LEAVE_SECONDS)
        assert not alive, [process.cmdline() for process in alive]


def _is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(
            process.cmdline()
        )
    return False


def trials(folder: Path) -> Iterator[Trial]:
    """Kills at the start, in the middle and at the end of runs; the grid itself; a storm of kills."""

    def trial(name: str, check: Callable[..., None], *arguments: Any) -> Trial:
        return Trial(name, partial(check, folder / re.sub(r"\W+", "-", name), *arguments))

    for seconds in (0.0, 0.2, 0.5, 1.0, 1.5, 2.5):
        name = f"the first worker, {seconds} s after its start"
        yield trial(name, _survives, FEW, 2, partial(_First, seconds))
    yield trial("all workers, once a run is done", _survives, FEW, 2, _All)
    for seconds in (0.5, 5.0, 8.0):
        yield trial(f"the grid itself, after {seconds} s", _continues, seconds)
    yield trial(f"every worker that trains {POISON}", _gives_up)
    for file in (runs.CONFIG, runs.METRICS, f"{runs.CHECKPOINTS}/{runs.step_name(10)}", LAST):
        name = f"the worker of a run that has written {file}"
        yield trial(name, _survives, FEW, 1, partial(_Training, file))
    for number in range(1, STORMS + 1):
        name = (
            f"every {STORM_SECONDS:g} s a worker that trains, {2 * len(MANY)} runs, number {number}"
        )
        yield trial(name, _survives, MANY, 2, partial(_Storm, number))


class _First:
    """Kills the first worker process, some seconds after it has appeared."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.kills = seconds, 0
        self.appeared: float | None = None

    def __call__(self, grid: Grid) -> None:
        workers = grid.workers()
        if workers and self.appeared is None:
            self.appeared = time.monotonic()
        if self.appeared and not self.kills and time.monotonic() - self.appeared >= self.seconds:
            self.kills += _kill(workers[0])


class _All:
    """Kills all workers at the same time, once a run is done."""

    kills = 0

    def __call__(self, grid: Grid) -> None:
        if not self.kills and "done" in states(grid.folder).values():
            self.kills += sum(map(_kill, grid.workers()))


class _Training:
    """Kills the worker of the run that is the first to write a certain file."""

    def __init__(self, file: str) -> None:
        self.file, self.kills = file, 0

    def __call__(self, grid: Grid) -> None:
        for path in [] if self.kills else grid.folder.glob(f"*/{self.file}"):
            self.kills += _kill_holder(path, grid)


class _Poison:
    """Kills every worker that begins to train one run."""

    kills = 0

    def __call__(self, grid: Grid) -> None:
        self.kills += _kill_holder(grid.folder / POISON / runs.CONFIG, grid)


class _Storm:
    """Again and again kills a random worker that has a run.

    A worker that has none is spared: if workers died faster than they can import TensorFlow, no
    grid could proceed.
    """

    def __init__(self, seed: int) -> None:
        self.random, self.last, self.kills = random.Random(seed), time.monotonic(), 0

    def __call__(self, grid: Grid) -> None:
        if time.monotonic() - self.last >= STORM_SECONDS:
            holders = {_holder(path.parent) for path in grid.folder.glob(f"*/{runs.LOCK}")}
            workers = [worker for worker in grid.workers() if worker.pid in holders]
            if workers:
                self.last = time.monotonic()
                self.kills += _kill(self.random.choice(workers))


def _kill(process: psutil.Process) -> int:
    """Kills a process; returns how many died by it."""
    with contextlib.suppress(psutil.Error):
        process.kill()
        return 1
    return 0


def _kill_holder(path: Path, grid: Grid) -> int:
    """Kills the worker that trains the run in which a file lies, if it is alive."""
    holder = _holder(grid.folder / path.relative_to(grid.folder).parts[0])
    return sum(_kill(worker) for worker in grid.workers() if worker.pid == holder)


def _holder(run: Path) -> int | None:
    """The process that trains a run, or trained it last."""
    with contextlib.suppress(OSError, ValueError):
        return int((run / runs.LOCK).read_text())
    return None


def _survives(folder: Path, seeds: Sequence[str], workers: int, make: Callable[[], Any]) -> None:
    """The grid ends well, with the same weights as serially, and says what happened."""
    folder.mkdir()
    killer, grid = make(), Grid(folder, seeds, workers)
    code, out, err = grid.run(killer)
    assert killer.kills > 0, "nothing was killed"
    assert code == 0, f"exit code {code}: {err[-2000:]}"
    _check(grid, seeds, out, err)
    told = err.count(" died")
    assert 1 <= told <= killer.kills, f"{killer.kills} kills, {told} lines: {err[-2000:]}"


def _continues(folder: Path, seconds: float) -> None:
    """The grid is killed, no process stays, and the same command continues."""
    folder.mkdir()
    grid = Grid(folder, FEW, 2)

    def kill(grid: Grid) -> None:
        if time.monotonic() - grid.started >= seconds:
            grid.process.kill()

    code, _, err = grid.run(kill)
    assert code == -signal.SIGKILL, f"it ended before: {err[-2000:]}"
    grid.check_nothing_stays()
    again = Grid(folder, FEW, 2)
    code, out, err = again.run(lambda grid: None)
    assert code == 0, err
    _check(again, FEW, out, err)


def _gives_up(folder: Path) -> None:
    """The run that always loses its worker is given up and named; the other one is done."""
    folder.mkdir()
    killer, grid = _Poison(), Grid(folder, FEW, 2)
    code, _, err = grid.run(killer)
    grid.check_nothing_stays()
    assert code == 1, err
    assert killer.kills == dispatch.MAX_DEATHS, f"{killer.kills} kills"
    assert f"Failed: {POISON}: its worker died {dispatch.MAX_DEATHS} times" in err
    assert "Traceback" not in err
    found = states(grid.folder)
    assert found.pop(POISON) == "failed"
    assert set(found.values()) == {"done"}


def _check(grid: Grid, seeds: Sequence[str], out: str, err: str) -> None:
    """Every combination once, the same weights as serially, no process left, no traceback."""
    grid.check_nothing_stays()
    assert "Traceback" not in out + err, err
    names = [f"relu-{optimizer}-seed{seed}" for optimizer in ("sgd", "adam") for seed in seeds]
    assert sorted(states(grid.folder)) == sorted(names)
    assert set(states(grid.folder).values()) == {"done"}
    for name in names:
        assert runs.read_status(grid.folder / name)["weights_sha256"] == _alone(name)
        rows = (grid.folder / name / runs.METRICS).read_text().splitlines()
        assert len(rows) == len(set(rows)), f"{name} has double rows"


def states(folder: Path) -> dict[str, str]:
    """The state of each run of a grid, by its name."""
    return {
        path.parent.name: runs.read_status(path.parent).get("state", "")
        for path in folder.glob(f"*/{runs.STATUS}")
    }


@functools.cache
def _alone(name: str) -> str:
    """The sha256 of the weights of a run that is trained in this process, without a grid."""
    from experiments.grid import options
    from experiments.grid.grid import Grid as Planned
    from experiments.grid.run_one import train_one

    with tempfile.TemporaryDirectory() as logdir:
        words = [*OPTIONS.split(), *MANY, "--logdir", logdir]
        planned = Planned(options.parse(words, "sweep", ""), words)
        [job] = [
            job
            for job in planned._jobs(planned.configs, planned.dataset)
            if job.folder.name == name
        ]
        assert train_one(job).state == "done"
        return runs.read_status(job.folder)["weights_sha256"]
