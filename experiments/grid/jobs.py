"""The request for one run of a grid, and its outcome. No TensorFlow."""

from __future__ import annotations

import functools
import signal
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any

from lenet.config import TrainConfig
from lenet.data.datasets import Dataset, hold_out, load_dataset_for
from lenet.option_checks import DATA
from lenet.recording import runs
from lenet.training.interrupts import StopRequest

STOP_FILE = ".stop"
# A run in one of these states is not trained again, because it would end in the same way.
FINAL = ("done", "diverged")
# The options that decide when a run ends, and may change if it continues.
ENDS = ("epochs", "max_steps", "early_stopping")


@dataclass(frozen=True)
class Job:
    """One run to train.

    Attributes:
        config: the options, resolved; `logdir` is the grid's folder, and `run_name` the name of
            the run's folder.
        dataset_sha256: the sha256 of the images, so that every worker uses the same images.
        held_out: fraction of the training images that replaces the test images, for validation.
        stop_file: the run saves a checkpoint and stops once this file exists.
        overview: the options that the grid compares and their values. The run that has them
            writes them into the grid's folder, for TensorBoard's HParams page.
    """

    config: TrainConfig
    dataset_sha256: str
    held_out: float = 0.0
    stop_file: Path | None = None
    overview: dict[str, list[Any]] | None = None

    @property
    def folder(self) -> Path:
        assert self.config.run_name is not None
        return self.config.logdir / self.config.run_name


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        config: the options of the run.
        state: "done", "diverged", "interrupted" or "failed".
        test_loss: the test loss in nats; None if it is not known or not finite.
        test_accuracy: the test accuracy from 0 to 1, or None.
        seconds: the training time of all sessions; 0 if training never began.
        images_per_second: the speed of the training calls in its last session, or 0.
        notes: warnings, or the reason of a failure.
        skipped: whether the run was already finished.
    """

    config: TrainConfig
    state: str
    test_loss: float | None = None
    test_accuracy: float | None = None
    seconds: float = 0.0
    images_per_second: float = 0.0
    notes: tuple[str, ...] = ()
    skipped: bool = False

    @property
    def name(self) -> str:
        """The name of the run's folder, which is inside the grid's folder."""
        return str(self.config.run_name)

    @classmethod
    def from_status(cls, config: TrainConfig, status: dict[str, Any], **more: Any) -> Outcome:
        """The outcome that a run's `status.json` describes."""
        names = ("state", "test_loss", "test_accuracy", "seconds", "images_per_second")
        known = {name: status[name] for name in names if status.get(name) is not None}
        return cls(config, **known, **more)


def images(config: TrainConfig, held_out: float = 0.0) -> Dataset:
    """The images that a config specifies, loaded once per process.

    Args:
        held_out: fraction of the training images that replaces the test images.

    Raises:
        FileNotFoundError, ValueError: see `load_dataset`.
    """
    options = {f.name: getattr(config, f.name) for f in fields(config) if _is_about_data(f)}
    return _load(TrainConfig(**options), held_out)


def finished(job: Job) -> Outcome | None:
    """The outcome of a run that is already finished, or None if it must still be trained.

    Raises:
        RunError: the folder contains a different run, which cannot continue as this one.
    """
    if not (job.folder / runs.CONFIG).exists():
        return None
    try:
        saved, dataset = runs.read_config(job.folder)
        wanted = as_saved(job.config, saved)
        runs.check_resumable(saved, wanted)
    except ValueError as error:
        raise runs.RunError(
            f"{job.folder} contains a different run: {error} For a new grid, choose a different --name."
        ) from None
    if dataset["sha256"] != job.dataset_sha256:
        raise runs.RunError(
            f"The run in {job.folder} was trained on different images ({dataset['name']}). "
            "Choose a different --name."
        )
    try:
        status = runs.read_status(job.folder)
    except ValueError:  # Training continues from the last checkpoint, and writes it again.
        return None
    same_end = all(getattr(saved, name) == getattr(wanted, name) for name in ENDS)
    if status.get("state") in FINAL and same_end:
        return Outcome.from_status(job.config, status, skipped=True)
    return None


def is_asked_to_stop(job: Job, stop: StopRequest) -> bool:
    """Whether a run should stop. If the stop file exists, this also sets `stop`."""
    if job.stop_file is not None and job.stop_file.exists():
        stop.signal = stop.signal or signal.SIGINT
    return bool(stop.signal)


def as_saved(config: TrainConfig, saved: TrainConfig) -> TrainConfig:
    """The config with the folder in the saved config, because the grid may have been moved."""
    return replace(config, logdir=saved.logdir, run_name=saved.run_name, resume=saved.resume)


def _is_about_data(option: Field[Any]) -> bool:
    return option.metadata["group"] == DATA


@functools.lru_cache(maxsize=2)
def _load(config: TrainConfig, held_out: float) -> Dataset:
    return hold_out(_load(config, 0.0), held_out) if held_out else load_dataset_for(config)
