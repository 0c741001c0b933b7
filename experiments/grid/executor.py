"""Trains the runs of a grid in this process or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments.grid.jobs import Job, Outcome
from experiments.grid.options import GridOptions
from experiments.grid.run_one import train_one, write_overview
from lenet.training.interrupts import StopRequest

if TYPE_CHECKING:
    import distributed


class Executor:
    """Trains runs in the way that the options specify. A cluster starts when it is first needed.

    Args:
        gpus: the number of GPUs to train on; 0: train on the processors.
        stop: the caller records a signal here.
        stack: closes the cluster in the end.
    """

    def __init__(self, chosen: GridOptions, gpus: int, stop: StopRequest, stack: ExitStack) -> None:
        self._chosen, self._gpus, self._stop, self._stack = chosen, gpus, stop, stack
        self._client: distributed.Client | None = None

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Trains the runs until asked to stop, as many in parallel as there are workers.

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
        from experiments.grid import cluster  # Dask takes a while, and may not be needed.

        workers = number_of_workers(workers, len(jobs), self._gpus)
        if self._client is None:
            self._client = self._stack.enter_context(cluster.connect(self._chosen, workers))
        if scheduler is not None:
            jobs = [_with_threads(job, 1) for job in jobs]
        elif workers > 1:
            jobs = [_with_threads(job, max(1, processors // workers)) for job in jobs]
        yield from cluster.train_all(self._client, jobs, self._stop)

    def write_overview(self, folder: Path, values: dict[str, list[Any]]) -> None:
        """Writes the options that a grid compares into its folder, for TensorBoard's HParams page.

        Call it when a run has just ended. Then a worker is free, and the process that trains has
        already loaded TensorFlow. This process may never load it.
        """
        if self._client is None:
            write_overview(folder, values)
        else:
            self._client.submit(write_overview, folder, values, pure=False).result()


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
