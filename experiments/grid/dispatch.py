"""Gives runs to the workers of a cluster, one each at a time, and gives them again if one dies."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Any

import distributed

from experiments.grid.jobs import Job, Outcome
from experiments.grid.live import last_point
from experiments.grid.run_one import record_failure, train_one
from experiments.grid.workers import Workers
from lenet.recording import runs
from lenet.training.interrupts import StopRequest

ANSWER_SECONDS = 0.25
# A run notices a stop request within a fraction of a second, except while it compiles.
STOP_SECONDS = 60
RESULT_SECONDS = 20
WATCH_SECONDS = 0.5

# A grid that runs overnight must survive any number of killed workers, since a run continues from
# its checkpoint. But a run that kills its worker every time, e.g. by using all the memory, must
# end. So only deaths without a newer checkpoint count.
MAX_DEATHS = 10


@dataclass
class _Run:
    """A run that is not finished.

    Attributes:
        deaths: how often its worker died since it saved its newest checkpoint.
        checkpoint: the step of that checkpoint; 0 without one.
    """

    job: Job
    deaths: int = 0
    checkpoint: int = 0


def train_all(
    workers: Workers,
    jobs: Sequence[Job],
    stop: StopRequest,
    train: Callable[[Job], Outcome] | None = None,
) -> Iterator[Outcome]:
    """Trains runs on a cluster, one per worker at a time.

    Args:
        stop: once it is set, no further run starts, and the current runs save a checkpoint.
        train: what a worker does with a job; default: `train_on_worker`.

    Yields:
        The outcome of each run as it ends; nothing for runs that never started.

    Raises:
        OSError: the scheduler is gone, or no worker can be used.
    """
    waiting = collections.deque(_Run(job) for job in jobs)
    running: dict[distributed.Future, tuple[_Run, str]] = {}
    deadline = float("inf")
    while waiting or running:
        if stop.signal and deadline == float("inf"):
            waiting.clear()
            deadline = time.monotonic() + STOP_SECONDS
            ask_to_stop(jobs)
        if time.monotonic() > deadline:
            return
        answers = workers.update({address for _, address in running.values()})
        ended = [
            (future, *running.pop(future))
            for future, (_, address) in list(running.items())
            if future.done() or address not in workers.present
        ]
        busy = {address for _, address in running.values()}
        busy |= {address for future, _, address in ended if future.status == "error"}  # It is dead.
        for address in [address for address in workers.ready if address not in busy]:
            if waiting:
                run = waiting.popleft()
                future = _submit(workers, train or train_on_worker, run.job, address)
                running[future] = run, address
        for future, run, _ in ended:
            outcome = _result(future, run.job)
            # Otherwise, if the worker died now, Dask would repeat the run to get its result.
            future.release()
            if outcome is None:
                future.cancel()  # A worker that is only cut off then stops; see `train_on_worker`.
                outcome = _after_death(run, workers)
            if outcome is None or (outcome.state == "interrupted" and not stop.signal):
                waiting.appendleft(run)
            else:
                yield outcome
        if not ended:
            _wait([*running, *answers])


def train_on_worker(job: Job) -> Outcome:
    """Trains a run in a worker. Stops with a checkpoint if nobody waits for its result any more."""
    stop, ended = StopRequest(), threading.Event()
    worker = distributed.get_worker()
    key = worker.get_current_task()

    def watch() -> None:
        while not ended.wait(WATCH_SECONDS):
            task = worker.state.tasks.get(key)
            wanted = task is not None and task.state == "executing"
            if not wanted or worker.status != distributed.core.Status.running:
                stop.signal = stop.signal or signal.SIGTERM

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        return train_one(job, stop)
    finally:
        ended.set()
        watcher.join()


def ask_to_stop(jobs: Sequence[Job]) -> None:
    """Creates the stop files, which all workers can see, also on other machines."""
    for path in {job.stop_file for job in jobs if job.stop_file is not None}:
        path.touch()


def _submit(
    workers: Workers, train: Callable[[Job], Outcome], job: Job, address: str
) -> distributed.Future:
    key = f"{job.folder.name}-{os.urandom(4).hex()}"
    return workers.client.submit(train, job, pure=False, key=key, workers=[address])


def _wait(futures: list[distributed.Future]) -> None:
    """Waits a moment, or until one of the futures is done."""
    if not futures:
        time.sleep(ANSWER_SECONDS)
        return
    with contextlib.suppress(TimeoutError, CancelledError):
        distributed.wait(futures, timeout=ANSWER_SECONDS, return_when="FIRST_COMPLETED")


def _result(future: distributed.Future, job: Job) -> Outcome | None:
    """The outcome of a run, or None if its worker died."""
    error: Any = None
    if future.status == "finished":
        # If the worker dies now, its result is lost, and this waits in vain.
        with contextlib.suppress(Exception):
            return replace(future.result(timeout=RESULT_SECONDS), skipped=False)
    elif future.status == "error":
        error = future.exception()
        if not isinstance(error, distributed.scheduler.KilledWorker):
            reason = f"the cluster stopped the run ({type(error).__name__}: {error})"
            return Outcome(
                job.config, "failed", notes=(f"{reason}. To continue, start the grid again.",)
            )
    return None


def _after_death(run: _Run, workers: Workers) -> Outcome | None:
    """Notes that the worker of a run died; returns an outcome if the run is given up."""
    newest = max(runs.by_step(run.job.folder / runs.CHECKPOINTS), default=0)
    run.deaths = 1 if newest > run.checkpoint else run.deaths + 1
    run.checkpoint = newest
    name = run.job.folder.name
    if run.deaths >= MAX_DEATHS:
        reason = (
            f"its worker died {run.deaths} times without a new checkpoint in between. Perhaps "
            "the run itself is the cause, e.g. because it needs too much memory. To try again, "
            "repeat the command."
        )
        record_failure(run.job, reason, f"{reason}\n")
        return Outcome(run.job.config, "failed", notes=(reason,))
    go_on = f"It continues from step {newest}" if newest else "It starts again"
    count = f" ({run.deaths} times since the last checkpoint)" if run.deaths > 1 else ""
    workers.say(f"{name}: its worker died{count}. {go_on} on the next free worker.")
    run.job = _with_more_checkpoints(run.job, newest)
    return None


def _with_more_checkpoints(job: Job, newest: int) -> Job:
    """A job that saves a checkpoint in half the steps that were lost with the worker.

    So a run proceeds even if workers die more often than an epoch lasts. Checkpoints do not change
    the weights.
    """
    point = last_point(job.folder / runs.METRICS)
    lost = point[0] - newest if point else 0
    if lost < 1:
        return job
    every = max(1, lost // 2)
    every = min(every, job.config.checkpoint_every or every)
    return replace(job, config=replace(job.config, checkpoint_every=every))
