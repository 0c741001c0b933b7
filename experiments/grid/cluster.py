"""Runs jobs with Dask distributed, on a cluster that starts on this machine or on the user's own."""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dask.config
import distributed
from distributed.diagnostics.plugin import WorkerPlugin

from experiments.grid.jobs import Job, Outcome
from experiments.grid.options import GridOptions
from experiments.grid.run_one import train_one
from lenet.training.interrupts import StopRequest

ANSWER_SECONDS = 0.25
# A run notices a stop request within a fraction of a second, except while it compiles.
STOP_SECONDS = 60
CONNECT_SECONDS = 20

# Dask gives up a run after more than this number of its workers have died. A grid that runs
# overnight must survive many killed workers, since a run continues from its checkpoint. But a run
# that kills its worker every time, e.g. by using all the memory, must end. An exception in a run
# does not count, because `train_one` turns it into an outcome.
ALLOWED_FAILURES = 10


class IgnoreInterrupts(WorkerPlugin):
    """Lets workers ignore Ctrl-C. A terminal sends it to every process, and the grid handles it."""

    def setup(self, worker: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def connect(
    chosen: GridOptions, workers: int
) -> contextlib.AbstractContextManager[distributed.Client]:
    """The cluster that the options specify.

    Args:
        workers: the number of processes of a cluster on this machine.

    Raises:
        OSError: on entering, if the scheduler of `chosen` cannot be used.
    """
    if chosen.scheduler is None:
        return local_cluster(workers, chosen.dashboard)
    assert chosen.tls_ca_file and chosen.tls_cert and chosen.tls_key
    return existing_cluster(chosen.scheduler, chosen.tls_ca_file, chosen.tls_cert, chosen.tls_key)


@contextlib.contextmanager
def local_cluster(workers: int, dashboard: bool = False) -> Iterator[distributed.Client]:
    """Starts processes on this machine that communicate by TLS with temporary certificates.

    They listen only on 127.0.0.1. A worker that dies is replaced.

    Args:
        workers: the number of processes, with one thread each.
        dashboard: show Dask's dashboard, without TLS, on http://127.0.0.1:8787.
    """
    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
        # A worker that does not answer may be busy: importing TensorFlow blocks Python for seconds.
        "distributed.comm.timeouts.connect": "60s",
        # Otherwise Dask would inspect the stack of every thread a hundred times a second.
        "distributed.worker.profile.enabled": False,
    }
    if not dashboard:
        # Dask always opens its HTTP ports without TLS. Without routes, they serve nothing.
        settings["distributed.scheduler.http.routes"] = []
        settings["distributed.worker.http.routes"] = []
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls",
            security=distributed.Security.temporary(),
            dashboard_address="127.0.0.1:8787" if dashboard else "127.0.0.1:0",
            scheduler_kwargs={"dashboard": dashboard},
            memory_limit=0,  # No limit, because Dask would kill workers that use too much memory.
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(IgnoreInterrupts())
        yield client


@contextlib.contextmanager
def existing_cluster(
    address: str, ca_file: Path, cert: Path, key: Path
) -> Iterator[distributed.Client]:
    """Connects by TLS to a scheduler that is already running.

    Raises:
        OSError: there is no scheduler at the address, or it rejects the certificate.
    """
    security = distributed.Security(
        tls_ca_file=str(ca_file),
        tls_client_cert=str(cert),
        tls_client_key=str(key),
        require_encryption=True,
    )
    try:
        client = distributed.Client(address, security=security, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise OSError(f"Cannot use the scheduler {address}: {error}") from error
    with client:
        yield client


def train_all(
    client: distributed.Client, jobs: Sequence[Job], stop: StopRequest
) -> Iterator[Outcome]:
    """Trains runs on a cluster, one per worker at a time.

    Args:
        stop: once it is set, no further run starts, and the current runs save a checkpoint.

    Yields:
        The outcome of each run as it ends; nothing for runs that never started.
    """
    # The jobs are submitted one by one, so that a dead worker affects no waiting run, and the
    # first free worker gets the next run.
    waiting = collections.deque(jobs)
    running: dict[distributed.Future, Job] = {}
    deadline = float("inf")
    while waiting or running:
        if stop.signal and deadline == float("inf"):
            waiting.clear()
            deadline = time.monotonic() + STOP_SECONDS
            ask_to_stop(jobs)
        if time.monotonic() > deadline:
            return
        free = max(1, count_workers(client)) - len(running)
        for job in [waiting.popleft() for _ in range(min(free, len(waiting)))]:
            future = client.submit(train_one, job, pure=False, key=_key(job))
            running[future] = job
        if not running:
            continue
        with contextlib.suppress(TimeoutError):
            distributed.wait(list(running), timeout=ANSWER_SECONDS, return_when="FIRST_COMPLETED")
        for future in [future for future in running if future.done()]:
            outcome = _outcome(future, running.pop(future))
            # Otherwise, if the worker died now, Dask would repeat the run to get its result.
            future.release()
            yield outcome


def count_workers(client: distributed.Client) -> int:
    """The current number of workers."""
    threads: Any = client.nthreads()
    return len(threads)


def ask_to_stop(jobs: Sequence[Job]) -> None:
    """Creates the stop files, which all workers can see, also on other machines."""
    for path in {job.stop_file for job in jobs if job.stop_file is not None}:
        path.touch()


def _key(job: Job) -> str:
    return f"{job.folder.name}-{os.urandom(4).hex()}"


def _outcome(future: distributed.Future, job: Job) -> Outcome:
    if future.status == "finished":
        return future.result()
    error = future.exception() if future.status == "error" else None
    if isinstance(error, distributed.scheduler.KilledWorker):
        reason = f"its worker died {ALLOWED_FAILURES + 1} times"
    else:
        reason = f"the cluster stopped the run ({error or future.status})"
    return Outcome(job.config, "failed", notes=(f"{reason}. To continue, start the grid again.",))
