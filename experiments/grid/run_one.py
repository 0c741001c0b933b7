"""Makes one run: skips it if it is finished, resumes it if it has started; its failure is its own.

Importing this module does not load TensorFlow, so that the process that only hands out runs stays
light. The two functions that need it load `session` when they are called.
"""

from __future__ import annotations

import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.grid.jobs import Job, Outcome, finished, is_asked_to_stop
from lenet import cli
from lenet.recording import runs
from lenet.training.interrupts import StopRequest
from lenet.training.runtime import start_tensorflow

ERROR_FILE = "error.txt"
# Two runs at once in one process would share Keras's state, and a cluster's worker may have threads.
_one_at_a_time = threading.Lock()


def train_one(job: Job, stop: StopRequest | None = None) -> Outcome:
    """Makes one run, with the same bits as `lenet.train`; continues from its last checkpoint.

    Args:
        stop: where the caller asks for a stop; default: only the job's stop file does.

    Returns:
        How it ended. If it fails, the outcome and the run's folder say why; nothing is raised.
    """
    with _one_at_a_time:
        stop = stop or StopRequest()
        try:
            outcome = finished(job)
            if outcome is not None:
                return outcome
            if is_asked_to_stop(job, stop):
                return Outcome(job.config, "interrupted")
            start_tensorflow(job.config.threads, job.config.deterministic, lean=True)
            from experiments.grid import session

            warnings = session.fit(job, stop)
            status = runs.read_status(job.folder)
            return Outcome.from_status(job.config, status, notes=tuple(warnings))
        except Exception as error:
            return _failed(job, error)


def write_overview(folder: Path, values: dict[str, list[Any]]) -> None:
    """Writes in a grid's folder which options its runs compare, for TensorBoard's HParams page."""
    start_tensorflow(lean=True)
    from experiments.grid import session

    session.write_comparison(folder, values)


def _failed(job: Job, error: Exception) -> Outcome:
    """Notes in the run's folder that it failed, unless another process uses that folder."""
    expected = isinstance(error, (ValueError, OSError))
    message = cli.describe(error) if expected else f"{type(error).__name__}: {error}"
    message = message.strip().splitlines()[0] if message.strip() else type(error).__name__
    with suppress(OSError, ValueError):
        job.folder.mkdir(parents=True, exist_ok=True)
        with runs.locked(job.folder):
            status = {**runs.read_status(job.folder), "state": "failed", "error": message}
            runs.write_status(job.folder, status)
            (job.folder / ERROR_FILE).write_text("".join(traceback.format_exception(error)))
    return Outcome(job.config, "failed", notes=(message,))
