"""Dask clusters: one that starts on this machine for one grid, or the user's own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.config
import distributed
from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.utils import silence_logging_cmgr
from distributed.versions import VersionMismatchWarning
from tornado.ioloop import PeriodicCallback

from experiments.grid.options import GridOptions
from experiments.grid.workers import Say, Workers
from lenet import cli

SETTINGS = {
    # The death of a worker is reported at once. `dispatch` decides whether the run continues.
    "distributed.scheduler.allowed-failures": 0,
    # Otherwise Dask would not replace a worker process that needs longer than this to start.
    "distributed.deploy.lost-worker-timeout": "1000 hours",
    # A worker that does not answer may be busy: importing TensorFlow blocks Python for seconds.
    "distributed.comm.timeouts.connect": "60s",
    # Otherwise Dask would inspect the stack of every thread a hundred times a second.
    "distributed.worker.profile.enabled": False,
}
# Dask always opens its HTTP ports without TLS. Without routes, they serve nothing.
WITHOUT_PAGES = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
CONNECT_SECONDS = 20
START_ATTEMPTS = 30
CHECK_MILLISECONDS = 1000


class IgnoreInterrupts(WorkerPlugin):
    """Lets workers ignore Ctrl-C. A terminal sends it to every process, and the grid handles it."""

    def setup(self, worker: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class PersistentNanny(distributed.Nanny):
    """Starts a worker process and replaces it whenever it dies, also while it starts.

    Dask's own nanny gives up if the process dies before it has connected for the first time.
    """

    def __init__(self, *arguments: Any, say: Say, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._say, self._starting = say, asyncio.Lock()
        callback = PeriodicCallback(self._replace_the_dead, CHECK_MILLISECONDS)
        self.periodic_callbacks["replace-the-dead"] = callback

    async def instantiate(self) -> Status:
        """Starts the worker process, several times if necessary."""
        status = Status.failed
        async with self._starting:  # Each death calls this method again.
            for _ in range(START_ATTEMPTS):
                status = await super().instantiate()
                if status == Status.running or self.status in (Status.closing, Status.closed):
                    break
                self._say("A worker process died while it started. Another one replaces it.")
        return status

    async def _replace_the_dead(self) -> None:
        """Starts a worker process if it died at a moment that Dask's own nanny does not notice."""
        dead = self.process and self.process.status in (Status.stopped, Status.failed)
        if dead and self.status == Status.running:
            await self.instantiate()


def connect(
    chosen: GridOptions, workers: int, folder: Path, say: Say
) -> contextlib.AbstractContextManager[Workers]:
    """The workers of the cluster that the options specify.

    Args:
        workers: the number of processes of a cluster on this machine.
        folder: the grid's folder.
        say: prints one line about an event.

    Raises:
        OSError: on entering, if the cluster cannot be used.
    """
    if chosen.scheduler is None:
        return local_cluster(workers, folder, say, chosen.dashboard)
    assert chosen.tls_ca_file and chosen.tls_cert and chosen.tls_key
    certificates = chosen.tls_ca_file, chosen.tls_cert, chosen.tls_key
    return existing_cluster(chosen.scheduler, certificates, folder, say)


@contextlib.contextmanager
def local_cluster(
    workers: int, folder: Path, say: Say, dashboard: bool = False
) -> Iterator[Workers]:
    """Starts processes on this machine that communicate by TLS with temporary certificates.

    They listen only on 127.0.0.1. A worker that dies is replaced.

    Args:
        workers: the number of processes, with one thread each.
        dashboard: show Dask's dashboard, without TLS, on http://127.0.0.1:8787.

    Raises:
        OSError: the processes cannot be started.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS if dashboard else SETTINGS | WITHOUT_PAGES))
        try:
            started = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                worker_class=functools.partial(PersistentNanny, say=say),
                host="127.0.0.1",
                protocol="tls",
                security=distributed.Security.temporary(),
                dashboard_address="127.0.0.1:8787" if dashboard else "127.0.0.1:0",
                scheduler_kwargs={"dashboard": dashboard},
                memory_limit=0,  # Without it, Dask would kill workers that use too much memory.
                silence_logs=logging.CRITICAL,
            )
        except Exception as error:
            raise OSError(
                f"The worker processes cannot start ({cli.describe(error)}). Free memory, or train "
                "without them: --workers 0."
            ) from error
        client = stack.enter_context(distributed.Client(stack.enter_context(started)))
        for _ in range(START_ATTEMPTS):  # A worker that dies at this moment interrupts the request.
            with contextlib.suppress(OSError):
                client.register_plugin(IgnoreInterrupts())
                break
        yield Workers(client, folder, say, local=True)


@contextlib.contextmanager
def existing_cluster(
    address: str, certificates: tuple[Path, Path, Path], folder: Path, say: Say
) -> Iterator[Workers]:
    """Connects by TLS to a scheduler that is already running.

    Args:
        certificates: the files of the certificate authority, of the certificate and of its key.

    Raises:
        OSError: there is no scheduler at the address, it rejects the certificate, or its software
            differs from that of this machine.
    """
    ca_file, cert, key = map(str, certificates)
    security = distributed.Security(
        tls_ca_file=ca_file, tls_client_cert=cert, tls_client_key=key, require_encryption=True
    )
    try:
        with warnings.catch_warnings():
            # `Workers` says it better, and refuses what would change the weights.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client = distributed.Client(address, security=security, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise OSError(f"Cannot use the scheduler {address}: {error}") from error
    # The grid says in one line what happened; Dask would add tracebacks.
    with silence_logging_cmgr(logging.CRITICAL), client:
        workers = Workers(client, folder, say)
        workers.check_scheduler()
        yield workers
