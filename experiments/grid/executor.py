"""Where the runs of a grid are made: in this process, or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.grid.options import GridOptions
from experiments.grid.run_one import Job, Outcome, train_one, write_overview
from lenet.training.interrupts import StopRequest

if TYPE_CHECKING:
    import distributed


class Executor:
    """Makes runs the way the options ask for; a cluster is started when it is first needed.

    Args:
        stop: where the caller notes a signal.
        stack: closes the cluster in the end.
    """

    def __init__(self, chosen: GridOptions, stop: StopRequest, stack: ExitStack) -> None:
        self._chosen, self._stop, self._stack = chosen, stop, stack
        self._client: distributed.Client | None = None

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Makes the runs, as many at once as there are workers, until asked to stop.

        Raises:
            OSError: there is no cluster to be had.
        """
        workers = self._chosen.workers
        workers = (os.cpu_count() or 1) if workers is None else workers
        if not jobs or self._stop.signal:
            return
        if workers == 0 and self._chosen.scheduler is None:
            for job in jobs:
                if self._stop.signal:
                    return
                yield train_one(job, self._stop)
            return
        from experiments.grid import cluster

        workers = min(workers, len(jobs))
        if self._client is None:
            self._client = self._stack.enter_context(self._cluster(workers))
        alone = workers == 1 and self._chosen.scheduler is None
        share = 1 if self._chosen.scheduler else max(1, (os.cpu_count() or 1) // workers)
        if not alone:
            jobs = [_with_threads(job, share) for job in jobs]
        yield from cluster.train_all(self._client, jobs, self._stop)

    def write_overview(self, folder: Path, values: dict[str, list[Any]]) -> None:
        """Says in a grid's folder what its runs compare, for TensorBoard's HParams page.

        To be called when a run has just ended: then a worker is free, and TensorFlow is where
        the runs are; this process may never load it.
        """
        if self._client is None:
            write_overview(folder, values)
        else:
            self._client.submit(write_overview, folder, values, pure=False).result()

    def _cluster(self, workers: int) -> AbstractContextManager[distributed.Client]:
        from experiments.grid import cluster

        chosen = self._chosen
        if chosen.scheduler is None:
            return cluster.local_cluster(workers, chosen.dashboard)
        assert chosen.tls_ca_file and chosen.tls_cert and chosen.tls_key
        return cluster.existing_cluster(
            chosen.scheduler, chosen.tls_ca_file, chosen.tls_cert, chosen.tls_key
        )


def _with_threads(job: Job, most: int) -> Job:
    """Processors that are shared are not fought over; the bits are the same."""
    return replace(job, config=replace(job.config, threads=min(job.config.threads, most)))
