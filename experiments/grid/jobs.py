"""What a grid asks of a run, and what comes back. No TensorFlow."""

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
# Training such a run again from the same start would end in the same way.
FINAL = ("done", "diverged")


@dataclass(frozen=True)
class Job:
    """One run to make.

    Attributes:
        config: the options, resolved; `logdir` is the grid's folder and `run_name` the run's.
        dataset_sha256: of the images to train on, so that every worker uses the same ones.
        held_out: fraction of the training images to validate on, in place of the test images.
        stop_file: the run saves a checkpoint and stops once this file exists.
    """

    config: TrainConfig
    dataset_sha256: str
    held_out: float = 0.0
    stop_file: Path | None = None

    @property
    def folder(self) -> Path:
        assert self.config.run_name is not None
        return self.config.logdir / self.config.run_name


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        config: its options.
        state: "done", "diverged", "interrupted" or "failed".
        test_loss: in nats; None if it is not known or not finite.
        test_accuracy: from 0 to 1, or None.
        seconds: of training in all sessions; 0 if it never began.
        images_per_second: during the training calls of its last session, or 0.
        notes: its warnings, or why it failed.
        skipped: it had been finished before.
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
        """The run's folder inside the grid's."""
        return str(self.config.run_name)

    @classmethod
    def from_status(cls, config: TrainConfig, status: dict[str, Any], **more: Any) -> Outcome:
        """The outcome that a run's `status.json` describes."""
        names = ("state", "test_loss", "test_accuracy", "seconds", "images_per_second")
        return cls(config, **{name: status[name] for name in names}, **more)


def images(config: TrainConfig, held_out: float = 0.0) -> Dataset:
    """The images a config asks for, loaded once per process.

    Args:
        held_out: fraction of the training images that takes the place of the test images.

    Raises:
        FileNotFoundError, ValueError: see `load_dataset`.
    """
    options = {f.name: getattr(config, f.name) for f in fields(config) if _is_about_data(f)}
    return _load(TrainConfig(**options), held_out)


def finished(job: Job) -> Outcome | None:
    """The outcome of a run that was finished before, or None if there is still work to do.

    Raises:
        RunError: the folder contains another run, which cannot become this one.
    """
    if not (job.folder / runs.CONFIG).exists():
        return None
    try:
        saved, dataset = runs.read_config(job.folder)
        wanted = as_saved(job.config, saved)
        runs.check_resumable(saved, wanted)
    except ValueError as error:
        raise runs.RunError(
            f"{job.folder} contains another run: {error} Or choose another --name."
        ) from None
    if dataset["sha256"] != job.dataset_sha256:
        raise runs.RunError(
            f"{job.folder} was trained on other images ({dataset['name']}): choose another --name."
        )
    status = runs.read_status(job.folder)
    same_end = (saved.epochs, saved.max_steps) == (wanted.epochs, wanted.max_steps)
    if status.get("state") in FINAL and same_end:
        return Outcome.from_status(job.config, status, skipped=True)
    return None


def is_asked_to_stop(job: Job, stop: StopRequest) -> bool:
    """Whether a run should stop: `stop` says so, or the stop file exists, which sets `stop`."""
    if job.stop_file is not None and job.stop_file.exists():
        stop.signal = stop.signal or signal.SIGINT
    return bool(stop.signal)


def as_saved(config: TrainConfig, saved: TrainConfig) -> TrainConfig:
    """The config with the folder it was saved with: the grid may have been moved since."""
    return replace(config, logdir=saved.logdir, run_name=saved.run_name, resume=saved.resume)


def _is_about_data(option: Field[Any]) -> bool:
    return option.metadata["group"] == DATA


@functools.lru_cache(maxsize=2)
def _load(config: TrainConfig, held_out: float) -> Dataset:
    return hold_out(_load(config, 0.0), held_out) if held_out else load_dataset_for(config)
