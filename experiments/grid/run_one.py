"""Trains one run. Skips a finished run, resumes one that has started, and never raises an error.

Importing this module does not load TensorFlow, so that the process that only distributes runs needs
little memory. `train_one` imports `session`, which needs TensorFlow, only when it is called.
"""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from typing import Any

from experiments.grid.jobs import Job, Outcome, finished, is_asked_to_stop
from lenet import cli, files
from lenet.recording import runs
from lenet.training import devices
from lenet.training.interrupts import StopRequest
from lenet.training.runtime import configure_tensorflow, import_tensorflow

# A worker that was cut off from its cluster may still write to the run's folder for a moment.
LOCK_SECONDS = 60
LOCK_CHECK_SECONDS = 0.5
# Two runs at the same time in one process would share Keras's state. A worker of a cluster may have
# several threads.
_one_at_a_time = threading.Lock()


def train_one(job: Job, stop: StopRequest | None = None) -> Outcome:
    """Trains one run from its last checkpoint, with exactly the same weights as `lenet.train`.

    Args:
        stop: the caller's request to stop; default: only the job's stop file stops the run.

    Returns:
        How the run ended. If it failed, the outcome and the run's folder contain the reason; no
        exception is raised.
    """
    with _one_at_a_time:
        stop = stop or StopRequest()
        try:
            outcome = finished(job)
            if outcome is not None:
                return outcome
            if is_asked_to_stop(job, stop):
                return Outcome(job.config, "interrupted")
            import_tensorflow(lean=True)
            job = with_own_device(job)
            configure_tensorflow(job.config.threads, job.config.deterministic, job.config.device)
            from experiments.grid import session

            if job.overview is not None:
                session.write_comparison(job.folder.parent, job.overview)
            _wait_for_lock(job, stop)
            warnings = session.fit(job, stop)
            status = runs.read_status(job.folder)
            return Outcome.from_status(job.config, status, notes=tuple(warnings))
        except Exception as error:
            return _failed(job, error)


def record_failure(job: Job, message: str, details: str) -> None:
    """Notes in the run's folder why it failed, unless another process uses that folder.

    Args:
        message: the reason, in one line, for `status.json`.
        details: the content of `error.txt`.
    """
    with suppress(OSError, ValueError):
        job.folder.mkdir(parents=True, exist_ok=True)
        with runs.locked(job.folder):
            status: dict[str, Any] = {}
            with suppress(ValueError):
                status = runs.read_status(job.folder)
            runs.write_status(job.folder, {**status, "state": "failed", "error": message})
            files.write(job.folder / files.ERROR, details)


def with_own_device(job: Job) -> Job:
    """The job with a GPU that no other worker uses, if it should run on any GPU."""
    if job.config.device != devices.GPU:
        return job
    device = devices.claim_gpu(devices.count_gpus())
    return replace(job, config=replace(job.config, device=device))


def _wait_for_lock(job: Job, stop: StopRequest) -> None:
    """Waits until no other process writes to the run's folder, but not for ever."""
    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline and not is_asked_to_stop(job, stop):
        try:
            with runs.locked(job.folder):
                return
        except runs.RunError:
            time.sleep(LOCK_CHECK_SECONDS)
        except OSError:
            return  # There is no folder yet, or `session.fit` reports what is wrong with it.


def _failed(job: Job, error: Exception) -> Outcome:
    """Records the failure in the run's folder."""
    expected = isinstance(error, (ValueError, OSError))
    message = cli.describe(error) if expected else f"{type(error).__name__}: {error}"
    message = message.strip().splitlines()[0] if message.strip() else type(error).__name__
    record_failure(job, message, "".join(traceback.format_exception(error)))
    return Outcome(job.config, "failed", notes=(message,))
