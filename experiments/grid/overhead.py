"""`python -m experiments.grid.overhead`: how long the workers of a cluster wait between two runs.

The runs only sleep, so any number of workers fits on one machine. They are threads of this process,
with TLS connections of their own. Everything else is as in a grid: its scheduler, its requests, its
results. Therefore this also counts what 64 machines would do by themselves; a real scheduler has less
to do.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import dask.config
import distributed

from experiments.grid import cluster, dispatch
from experiments.grid.jobs import Job, Outcome
from experiments.grid.workers import Workers
from lenet.config import TrainConfig
from lenet.training.interrupts import StopRequest

COUNTS, RUNS, SECONDS = (1, 4, 16, 64), 20, 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Raises:
        SystemExit: `--help` (0), or a user error (2).
    """
    parser = argparse.ArgumentParser(
        prog="python -m experiments.grid.overhead",
        description="Measures how long the workers of a cluster wait between two runs. The runs "
        "only sleep.",
    )
    parser.add_argument(
        "--workers", type=int, nargs="+", default=COUNTS, help="numbers of workers (1 4 16 64)"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs per worker ({RUNS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of a run ({SECONDS:g})")
    options = parser.parse_args(arguments)
    if min(*options.workers, options.runs) < 1 or options.seconds < 0:
        parser.error("Expected --workers and --runs to be at least 1, and --seconds at least 0.")
    print("| workers | runs | seconds | lost per run | processor time per run | runs per second |")
    print("|---|---|---|---|---|---|")
    for workers in options.workers:
        print(_row(workers, *measure(workers, options.runs, options.seconds)), flush=True)
    return 0


def measure(workers: int, runs_per_worker: int, seconds: float) -> tuple[int, float, float, float]:
    """Gives runs that only sleep to the workers of a cluster in this process.

    Returns:
        The number of runs; the seconds from the first request to the last result; the seconds that
        a worker waits for its next run, on average; the processor time per run in seconds.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        dask.config.set(cluster.SETTINGS),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            host="127.0.0.1",
            protocol="tls",
            security=distributed.Security.temporary(),
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            # Otherwise all these workers would watch the memory of their one process.
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as started,
        distributed.Client(started) as client,
    ):
        known = Workers(client, Path(folder), lambda line: None, local=True)

        def train(count: int) -> None:
            jobs = [_job(Path(folder), number, seconds) for number in range(count)]
            states = [each.state for each in dispatch.train_all(known, jobs, StopRequest(), sleep)]
            assert states == ["done"] * count

        train(2 * workers)  # The workers join and answer.
        runs = workers * runs_per_worker
        began, used = time.perf_counter(), time.process_time()
        train(runs)
        elapsed, used = time.perf_counter() - began, time.process_time() - used
    return runs, elapsed, elapsed / runs_per_worker - seconds, used / runs


def sleep(job: Job) -> Outcome:
    """Stands in for a run: it lasts as long as the job's learning rate says."""
    assert job.config.learning_rate is not None
    time.sleep(job.config.learning_rate)
    return Outcome(job.config, "done")


def _job(folder: Path, number: int, seconds: float) -> Job:
    config = TrainConfig(logdir=folder, run_name=f"run{number}", learning_rate=seconds)
    return Job(config, "")


def _row(workers: int, runs: int, elapsed: float, lost: float, used: float) -> str:
    return (
        f"| {workers} | {runs:,} | {elapsed:.1f} | {1000 * lost:.0f} ms | {1000 * used:.1f} ms | "
        f"{runs / elapsed:.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
