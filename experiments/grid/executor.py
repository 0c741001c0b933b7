"""Trains the runs of a grid in this process or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.grid.jobs import Job, Outcome
from experiments.grid.options import GridOptions
from experiments.grid.run_one import train_one
from lenet.training.interrupts import StopRequest

if TYPE_CHECKING:
    from experiments.grid.workers import Workers


class Executor:
    """Trains runs in the way that the options specify. A cluster starts when it is first needed.

    Args:
        folder: the grid's folder.
        gpus: the number of GPUs to train on; 0: train on the processors.
        stop: the caller records a signal here.
        stack: closes the cluster in the end.
    """

    def __init__(
        self, chosen: GridOptions, folder: Path, gpus: int, stop: StopRequest, stack: ExitStack
    ) -> None:
        self._chosen, self._folder, self._gpus = chosen, folder, gpus
        self._stop, self._stack = stop, stack
        self._workers: Workers | None = None
        self._say: Callable[[str], None] = print

    def run(self, jobs: Sequence[Job], say: Callable[[str], None]) -> Iterator[Outcome]:
        """Trains the runs until asked to stop, as many in parallel as there are workers.

        Args:
            say: prints one line about an event, e.g. the death of a worker.

        Raises:
            OSError: the cluster cannot be used.
        """
        if not jobs or self._stop.signal:
            return
        scheduler, workers = self._chosen.scheduler, self._chosen.workers
        processors = os.cpu_count() or 1
        if workers == 0 and scheduler is None:
            for job in jobs:
                if self._stop.signal:
                    return
                yield train_one(job, self._stop)
            return
        from experiments.grid import cluster, dispatch  # Dask takes a while to import.

        self._say = say
        workers = number_of_workers(workers, len(jobs), self._gpus)
        if self._workers is None:
            connection = cluster.connect(self._chosen, workers, self._folder, self._tell)
            self._workers = self._stack.enter_context(connection)
        if scheduler is not None:
            jobs = [_with_threads(job, 1) for job in jobs]
        elif workers > 1:
            jobs = [_with_threads(job, max(1, processors // workers)) for job in jobs]
        yield from dispatch.train_all(self._workers, jobs, self._stop)

    def _tell(self, text: str) -> None:
        """Prints a line in the way of the current call of `run`."""
        self._say(text)

    def at_a_time(self, runs: int) -> int:
        """The number of runs that are trained in parallel; 0 if a running cluster decides it.

        Args:
            runs: the number of all runs.
        """
        if self._chosen.scheduler is not None:
            return 0
        return max(1, number_of_workers(self._chosen.workers, runs, self._gpus))


def number_of_workers(asked: Literal["auto"] | int, runs: int, gpus: int) -> int:
    """The number of processes that train in parallel.

    Args:
        asked: the option `--workers`.
        runs: the number of runs to train.
        gpus: the number of GPUs to train on, each by one process; 0: train on the processors.
    """
    usual = gpus or os.cpu_count() or 1
    return min(usual if asked == "auto" else asked, runs, gpus or runs)


def _with_threads(job: Job, maximum: int) -> Job:
    """Limits a run's threads if runs share processors. This does not change the weights."""
    return replace(job, config=replace(job.config, threads=min(job.config.threads, maximum)))
