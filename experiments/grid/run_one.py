"""One run of a grid: skipped if done, resumed if begun, and never a reason for others to stop."""

from __future__ import annotations

import functools
import logging
import shutil
import signal
import threading
import traceback
from contextlib import suppress
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.combinations import hyperparameters
from lenet import cli
from lenet.config import DATA, TrainConfig
from lenet.data.datasets import Dataset, hold_out, load_dataset_for
from lenet.recording import checkpoints, runs
from lenet.training.interrupts import StopRequest
from lenet.training.progress import Reporter

if TYPE_CHECKING:
    from lenet.training.trainer import Trainer

STOP_FILE, ERROR_FILE = ".stop", "error.txt"
# Nothing that is trained again from the same start would end otherwise.
FINAL = ("done", "diverged")
# Two runs at once in one process would share Keras's state; a cluster's worker may have threads.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Job:
    """One run to make.

    Attributes:
        config: the options, resolved; `logdir` is the grid's folder and `run_name` the run's.
        dataset_sha256: of the images it trains on, so that no worker takes others.
        held_out: the share of the training images to validate on instead of the test images.
        stop_file: where it is asked to save a checkpoint and stop.
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
    """What came of a run.

    Attributes:
        config: its options.
        state: "done", "diverged", "interrupted" or "failed".
        test_loss: in nats; None where it is not known or not finite.
        test_accuracy: from 0 to 1, or None.
        seconds: of training in all; 0 where it never began.
        images_per_second: over the training calls of its last session, or 0.
        notes: what it warned of, or why it failed.
        skipped: it was there already.
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


def images(config: TrainConfig, held_out: float = 0.0) -> Dataset:
    """The images a config asks for, loaded once per process.

    Args:
        held_out: the share of the training images that takes the place of the test images.

    Raises:
        FileNotFoundError, ValueError: as `load_dataset`.
    """
    options = {f.name: getattr(config, f.name) for f in fields(config) if _of_data(f)}
    return _load(TrainConfig(**options), held_out)


def _of_data(option: Field[Any]) -> bool:
    return option.metadata["group"] == DATA


@functools.lru_cache(maxsize=2)
def _load(config: TrainConfig, held_out: float) -> Dataset:
    return hold_out(_load(config, 0.0), held_out) if held_out else load_dataset_for(config)


def finished(job: Job) -> Outcome | None:
    """What came of a run that was made before, or None where there is still something to do.

    Raises:
        RunError: the folder holds another run, which cannot become this one.
    """
    if not (job.folder / runs.CONFIG).exists():
        return None
    try:
        saved, dataset = runs.read_config(job.folder)
        wanted = _as_saved(job.config, saved)
        runs.check_resumable(saved, wanted)
    except ValueError as error:
        raise runs.RunError(
            f"{job.folder} holds another run: {error} Or choose another --name."
        ) from None
    if dataset["sha256"] != job.dataset_sha256:
        raise runs.RunError(
            f"{job.folder} was trained on other images ({dataset['name']}): choose another --name."
        )
    status = runs.read_status(job.folder)
    same_end = (saved.epochs, saved.max_steps) == (wanted.epochs, wanted.max_steps)
    if status.get("state") in FINAL and same_end:
        return _outcome(job.config, status, skipped=True)
    return None


def train_one(job: Job, stop: StopRequest | None = None) -> Outcome:
    """Makes one run, to the same bits as `lenet.train`, on from its checkpoint if it has one.

    Args:
        stop: where the caller asks for a stop; default: the job's stop file alone says so.

    Returns:
        What came of it. A run that fails says why in its outcome and its folder; whatever is
        wrong with it, nothing is raised.
    """
    with _one_at_a_time:
        stop = stop or StopRequest()
        watch = _Watch(job, stop)
        try:
            outcome = finished(job)
            if outcome is not None:
                return outcome
            if watch.asked_to_stop():
                return Outcome(job.config, "interrupted")
            _build(job, watch).fit(stop)
            status = runs.read_status(job.folder)
            return _outcome(job.config, status, notes=tuple(watch.warnings))
        except Exception as error:
            return _failed(job, error)


def write_overview(folder: Path, values: dict[str, list[Any]]) -> None:
    """Says in a grid's folder which options its runs compare, for TensorBoard's HParams page."""
    from lenet.training.runtime import start_tensorflow

    start_tensorflow(lean=True)
    from lenet.recording.summaries import write_comparison

    write_comparison(folder, values)


class _Watch(Reporter):
    """Listens to one run: keeps its warnings, and passes on that it is asked to stop."""

    def __init__(self, job: Job, stop: StopRequest) -> None:
        super().__init__(quiet=True)
        self._job, self._stop = job, stop
        self.warnings: list[str] = []

    def start(self, step: int, last_step: int) -> None:
        from lenet.recording.summaries import write_trial

        if not self._job.held_out:
            write_trial(self._job.folder, hyperparameters(self._job.config))

    def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
        self.asked_to_stop()

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def asked_to_stop(self) -> bool:
        if self._job.stop_file is not None and self._job.stop_file.exists():
            self._stop.signal = self._stop.signal or signal.SIGINT
        return bool(self._stop.signal)


def _build(job: Job, watch: _Watch) -> Trainer:
    from lenet.training.runtime import start_tensorflow

    config = job.config
    start_tensorflow(config.threads, config.deterministic, lean=True)
    # Each run compiles functions of its own on purpose, which TensorFlow takes for a mistake.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    import keras

    from lenet.training.trainer import Trainer

    keras.backend.clear_session()  # A process that makes many runs keeps the graphs of none.
    dataset = images(config, job.held_out)
    if dataset.sha256 != job.dataset_sha256:
        raise ValueError(
            "This worker finds other images than the grid was started with (sha256 "
            f"{dataset.sha256[:12]}… instead of {job.dataset_sha256[:12]}…)."
        )
    return Trainer(_resume_or_start(job), dataset, watch)


def _resume_or_start(job: Job) -> TrainConfig:
    """Says to resume where there is a checkpoint; clears away what came to nothing before one."""
    if not (job.folder / runs.CONFIG).exists():
        return job.config
    with runs.locked(job.folder):
        if checkpoints.newest_valid(job.folder / runs.CHECKPOINTS) is not None:
            saved, _ = runs.read_config(job.folder)
            return replace(_as_saved(job.config, saved), resume=job.folder)
        for entry in job.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != runs.LOCK:
                entry.unlink()
    return job.config


def _as_saved(config: TrainConfig, saved: TrainConfig) -> TrainConfig:
    """The config under the name it was saved by: a folder may have been moved since."""
    return replace(config, logdir=saved.logdir, run_name=saved.run_name, resume=saved.resume)


def _outcome(config: TrainConfig, status: dict[str, Any], **more: Any) -> Outcome:
    known = ("state", "test_loss", "test_accuracy", "seconds", "images_per_second")
    return Outcome(config, **{name: status[name] for name in known}, **more)


def _failed(job: Job, error: Exception) -> Outcome:
    """Notes in the run's folder that it failed, unless that is another process's or none."""
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
