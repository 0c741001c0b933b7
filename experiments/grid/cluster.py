"""Runs on Dask distributed: a cluster of this machine's own, or one that is there already."""

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

from experiments.grid.run_one import Job, Outcome, train_one
from lenet.training.interrupts import StopRequest

ANSWER_SECONDS = 0.25
# A run sees that it is asked to stop after a fraction of a second, once it is compiled.
STOP_SECONDS = 60
CONNECT_SECONDS = 20

# When a worker dies, Dask counts that against every run it held, and gives a run up when it has
# been on more dead workers than this. A grid that runs overnight must outlive many killed
# workers, since a run goes on from its checkpoint; but a run that itself kills its worker each
# time, say by taking all memory, must come to an end. A run that merely raises never gets here:
# `train_one` makes an outcome of it.
ALLOWED_FAILURES = 10


class IgnoreInterrupts(WorkerPlugin):
    """Leaves Ctrl-C, which the terminal sends to every process, to the one that runs the grid."""

    def setup(self, worker: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def local_cluster(workers: int, dashboard: bool = False) -> Iterator[distributed.Client]:
    """Starts processes on this machine that speak TLS with certificates made for this one use.

    They listen on 127.0.0.1 alone. A worker that dies is replaced.

    Args:
        workers: how many processes, one thread each.
        dashboard: show Dask's dashboard, without TLS, on http://127.0.0.1:8787.
    """
    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
        # A busy worker is no dead one: TensorFlow's import holds Python for seconds.
        "distributed.comm.timeouts.connect": "60s",
        # Dask would look at every thread's stack a hundred times a second.
        "distributed.worker.profile.enabled": False,
    }
    if not dashboard:
        # Dask always opens its HTTP ports, without TLS; this way nothing answers there.
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
            memory_limit=0,  # Dask would kill a worker near its share of the memory.
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
    """Connects to a scheduler that runs already, by TLS.

    Raises:
        OSError: there is none at the address, or it does not accept the certificate.
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
    """Makes runs on a cluster, one per worker at a time.

    Args:
        stop: once it says so, no further run is begun and those under way save a checkpoint.

    Yields:
        What came of each run, as it ends; nothing for those never begun.
    """
    # Handed out one by one, so that a worker that dies takes no waiting run with it, and so
    # that whichever worker is free first gets the next.
    waiting = collections.deque(jobs)
    under_way: dict[distributed.Future, Job] = {}
    deadline = float("inf")
    while waiting or under_way:
        if stop.signal and deadline == float("inf"):
            waiting.clear()
            deadline = time.monotonic() + STOP_SECONDS
            ask_to_stop(jobs)
        if time.monotonic() > deadline:
            return
        free = max(1, count_workers(client)) - len(under_way)
        for job in [waiting.popleft() for _ in range(min(free, len(waiting)))]:
            future = client.submit(train_one, job, pure=False, key=_key(job))
            under_way[future] = job
        if not under_way:
            continue
        with contextlib.suppress(TimeoutError):
            distributed.wait(list(under_way), timeout=ANSWER_SECONDS, return_when="FIRST_COMPLETED")
        for future in [future for future in under_way if future.done()]:
            outcome = _outcome(future, under_way.pop(future))
            # Else, were the worker to die now, Dask would make the run again for its result.
            future.release()
            yield outcome


def count_workers(client: distributed.Client) -> int:
    """How many workers there are at this moment."""
    threads: Any = client.nthreads()
    return len(threads)


def ask_to_stop(jobs: Sequence[Job]) -> None:
    """Leaves word in the shared folder, where workers of any kind look for it."""
    for path in {job.stop_file for job in jobs if job.stop_file is not None}:
        path.touch()


def _key(job: Job) -> str:
    return f"{job.folder.name}-{os.urandom(4).hex()}"


def _outcome(future: distributed.Future, job: Job) -> Outcome:
    if future.status == "finished":
        return future.result()
    error = future.exception() if future.status == "error" else None
    if isinstance(error, distributed.scheduler.KilledWorker):
        reason = f"its worker died, {ALLOWED_FAILURES + 1} times in a row"
    else:
        reason = f"the cluster gave it up ({error or future.status})"
    return Outcome(job.config, "failed", notes=(f"{reason}. Start the grid again to go on.",))
