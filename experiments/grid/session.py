"""The part of a run that needs TensorFlow. Start TensorFlow first, then import this module."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import keras

from experiments.combinations import hyperparameters
from experiments.grid.jobs import Job, as_saved, images, is_asked_to_stop
from lenet.config import TrainConfig
from lenet.recording import checkpoints, runs
from lenet.recording.summaries import write_comparison, write_trial
from lenet.training.interrupts import StopRequest
from lenet.training.progress import Reporter
from lenet.training.trainer import Trainer

__all__ = ["fit", "write_comparison"]


def fit(job: Job, stop: StopRequest) -> list[str]:
    """Trains a run from its last checkpoint, or from the start if there is none.

    Returns:
        The warnings of the run.

    Raises:
        RunError: the run's folder is locked, or all its checkpoints are damaged.
        OSError: the run's folder cannot be written.
        ValueError: the images differ from those of the grid, or do not fit the network.
    """
    # Each run compiles its own functions on purpose. TensorFlow would warn about that.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    keras.backend.clear_session()  # Otherwise a process would keep the graphs of all its runs.
    dataset = images(job.config, job.held_out)
    if dataset.sha256 != job.dataset_sha256:
        raise ValueError(
            "The images on this worker differ from those with which the grid was started (sha256 "
            f"{dataset.sha256[:12]}… instead of {job.dataset_sha256[:12]}…)."
        )
    reporter = _Reporter(job, stop)
    Trainer(_resume_or_start(job), dataset, reporter).fit(stop)
    return reporter.warnings


class _Reporter(Reporter):
    """Keeps a run's warnings, and looks for the stop file after each compiled call."""

    def __init__(self, job: Job, stop: StopRequest) -> None:
        super().__init__(quiet=True)
        self._job, self._stop = job, stop
        self.warnings: list[str] = []

    def start(self, step: int, last_step: int) -> None:
        if not self._job.held_out:
            write_trial(self._job.folder, hyperparameters(self._job.config))

    def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
        is_asked_to_stop(self._job, self._stop)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def _resume_or_start(job: Job) -> TrainConfig:
    """A config that resumes the run if it has a checkpoint, or starts it in an empty folder."""
    if not (job.folder / runs.CONFIG).exists():
        return job.config
    with runs.locked(job.folder):
        if checkpoints.newest_valid(job.folder / runs.CHECKPOINTS) is not None:
            saved, _ = runs.read_config(job.folder)
            return replace(as_saved(job.config, saved), resume=job.folder)
        for entry in job.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != runs.LOCK:
                entry.unlink()
    return job.config
