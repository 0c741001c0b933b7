"""A run's folder: its name, its lock, and the small files that other programs read."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from lenet import files, reading
from lenet.config import TrainConfig
from lenet.option_checks import RUN, OnResume, expect
from lenet.recording.run_checks import DATASET_CHECKS, NETWORK, STATUS_CHECKS
from lenet.registry import KNOWN_DATASETS

CONFIG, STATUS, METRICS, LOCK = "config.json", "status.json", "metrics.csv", ".lock"
PREDICTIONS = "predictions.npz"
CHECKPOINTS, INSPECTIONS, FIGURES = "checkpoints", "inspections", "figures"
METRICS_HEADER = ["step", "epoch", "split", "loss", "accuracy"]


class RunError(ValueError):
    """A problem with a run's folder that the user can fix. The message says how."""


def default_name(config: TrainConfig, dataset_name: str, now: datetime) -> str:
    """`<dataset>-<model>-<activation>-<optimizer>-seed<seed>-<YYYYmmdd-HHMMSS>`."""
    return (
        f"{dataset_name}-{config.model.replace(':', '.')}-{config.activation}-{config.optimizer}"
        f"-seed{config.seed}-{now:%Y%m%d-%H%M%S}"
    )


def create(logdir: Path, name: str | None, default: str) -> Path:
    """Creates the folder of a new run.

    Args:
        name: the name that the user chose, or None for `default`. If a folder with the default
            name exists, a number is appended.

    Raises:
        RunError: a run with the chosen name exists.
        OSError: the folder cannot be created.
    """
    run = logdir / (name or default)
    number = 2
    while True:
        try:
            run.mkdir(parents=True, exist_ok=name is not None)
            break
        except FileExistsError:
            if not run.is_dir():
                raise
            run = logdir / f"{default}-{number}"
            number += 1
    if (run / CONFIG).exists():
        raise RunError(
            f"{run} already contains a run. Continue it with --resume {run}, or choose a "
            "different --run-name."
        )
    return run


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Holds a run's lock. The system releases it when the process ends, even after a crash.

    Raises:
        RunError: another process holds the lock, or the disk does not support locks.
        OSError: the lock's file cannot be written.
    """
    check_links(run)
    with _open_lock(run / LOCK) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RunError(
                f"{run} is being written by another process (process ID {holder}). "
                "Wait for it or stop it."
            ) from None
        except OSError as error:
            raise RunError(
                f"{run} cannot be locked ({error.strerror}). Some network disks do not support locks. "
                "Choose a folder on a different disk with --logdir."
            ) from error
        with files.naming(run / LOCK):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"{os.getpid()}\n".encode())
        yield


def _open_lock(path: Path) -> TextIO:
    try:
        with files.naming(path):
            return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666), "r+")
    except IsADirectoryError:
        raise RunError(f"{path} is a folder, but it should be a file. Remove it.") from None


def check_links(folder: Path) -> None:
    """Checks that no link leads out of a folder, before a program writes to it.

    Otherwise a folder from somebody else could change files anywhere on this computer.

    Raises:
        RunError: there is such a link; the message names it.
    """
    inside = folder.resolve()
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                raise RunError(
                    f"{path} is a link out of {folder}. Nothing is written to a folder with such "
                    "a link. Replace the link by the files themselves, or remove it."
                )


def write_config(
    run: Path,
    config: TrainConfig,
    dataset: dict[str, Any],
    environment: dict[str, Any],
    network: Sequence[dict[str, Any]] = (),
) -> None:
    """Writes `config.json`: every option with its final value, the data set, the machine.

    Args:
        network: the layers, from `Classifier.description`.
    """
    options = replace(config, resume=None).to_json()
    described = {"dataset": dataset, "environment": environment, "network": list(network)}
    contents = {**options, **described}
    files.write_json(run / CONFIG, contents, durable=True)  # No run can be resumed without it.
    files.sync(run.absolute().parent)


def read_config(run: Path | str) -> tuple[TrainConfig, dict[str, Any]]:
    """Reads a run's options and the description of its data set.

    Returns:
        The config, and the `dataset` entry: name, sha256, sizes. The config's `dataset` is the
        name of the data set if it is in KNOWN_DATASETS, and "auto" otherwise.

    Raises:
        FileNotFoundError: the folder contains no run.
        ValueError: its config.json cannot be read.
    """
    run = Path(run)
    if not (run / CONFIG).is_file():
        raise FileNotFoundError(
            f"There is no run in {run} (it has no {CONFIG}). Give the folder of a run, "
            "e.g. summary_logs/<run>."
        )
    values = reading.read_json(run / CONFIG)
    dataset = values.get("dataset")
    try:
        expect("dataset", "an object", dataset, isinstance(dataset, dict))
        assert isinstance(dataset, dict)
        for name, check in DATASET_CHECKS.items():
            expect(name, check.expected, dataset.get(name), check.holds(dataset.get(name)))
        name = dataset["name"] if dataset["name"] in KNOWN_DATASETS else "auto"
        return TrainConfig.from_json({**values, "dataset": name}), dataset
    except ValueError as error:
        raise ValueError(f"{run / CONFIG} is damaged: {error}") from error


def read_network(run: Path) -> list[dict[str, Any]]:
    """Reads the layers of a run's network, as `write_config` wrote them; [] if there are none.

    Raises:
        ValueError: the entry is damaged.
    """
    network = reading.read_json(run / CONFIG).get("network", [])
    try:
        expect("network", NETWORK.expected, network, NETWORK.holds(network))
    except ValueError as error:
        raise ValueError(f"{run / CONFIG} is damaged: {error}") from error
    return network


def options_like(run: Path) -> TrainConfig:
    """The options of a run, as the defaults of a new run.

    Values that were defaults become defaults again, because they may depend on options that
    differ in the new run, e.g. the learning rate on the optimizer.

    Raises:
        FileNotFoundError, ValueError: see `read_config`.
    """
    saved, dataset = read_config(run)
    images = int(dataset["train"]) + int(dataset.get("validation") or 0)
    usual, own = saved.with_usual_options(images), TrainConfig()
    left_out = {f.name for f in fields(saved) if f.metadata["group"] == RUN} | {"figures", "quiet"}
    return replace(usual, **{name: getattr(own, name) for name in left_out})


def has_siblings(run: Path) -> bool:
    """Whether there are other runs in the folder that contains a run."""
    return sum(1 for _ in itertools.islice(run.parent.glob(f"*/{CONFIG}"), 2)) > 1


def check_resumable(saved: TrainConfig, wanted: TrainConfig) -> None:
    """Checks that the completed steps would be the same with the new options.

    Raises:
        ValueError: they would not; the message names the options and their original values.
    """
    before, now = saved.to_json(), wanted.to_json()
    changed = [
        option.name
        for option in fields(TrainConfig)
        if not _may_become(option.metadata["on_resume"], before[option.name], now[option.name])
    ]
    if changed:
        differences = ", ".join(f"{name} (was {before[name]}, now {now[name]})" for name in changed)
        raise ValueError(
            f"This run cannot continue with different options: {differences}. Leave them out, or "
            "start a new run."
        )
    if saved.schedule != "constant" and saved.epochs != wanted.epochs:
        raise ValueError(
            f"This run cannot continue to {wanted.epochs} epochs: with schedule={saved.schedule} "
            "the learning rates of the completed steps depend on the number of epochs, which "
            f"was {saved.epochs}. Start a new run."
        )


def write_status(run: Path, status: dict[str, Any]) -> None:
    """Replaces `status.json`; numbers that are not finite become null.

    Raises:
        OSError: the file cannot be written. A failure is recorded even on a full disk if there was
            a status before.
    """
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in status.items()
    }
    try:
        files.write_json(run / STATUS, finite)
    except OSError:
        if status.get("state") != "failed":
            raise
        files.overwrite(run / STATUS, files.as_json(finite))


def read_status(run: Path | str) -> dict[str, Any]:
    """Reads `status.json`; {} if there is none yet.

    Raises:
        ValueError: it is damaged.
    """
    run = Path(run)
    try:
        status = reading.read_json(run / STATUS)
    except FileNotFoundError:
        return {}
    try:
        for name, value in status.items():
            if value is not None and name in STATUS_CHECKS:
                expect(name, STATUS_CHECKS[name].expected, value, STATUS_CHECKS[name].holds(value))
    except ValueError as error:
        raise ValueError(f"{run / STATUS} is damaged: {error}") from error
    return status


def append_metrics(run: Path, rows: Iterable[tuple[int, int, str, float, float]]) -> None:
    """Adds rows of step, epoch, split, loss and accuracy to `metrics.csv`."""
    path = run / METRICS
    new = not path.exists()
    with files.naming(path), path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(METRICS_HEADER)
        writer.writerows(rows)


def step_name(step: int, suffix: str = "") -> str:
    """The name of a file or folder for one step of a run, e.g. "step-00000200.npz"."""
    return f"step-{step:08d}{suffix}"


def by_step(folder: Path | str, suffix: str = "") -> dict[int, Path]:
    """All files and folders in a folder that are named by `step_name`, by step, ascending.

    Args:
        folder: the folder; it need not exist.
        suffix: "" finds checkpoints, ".npz" inspections.
    """
    named = re.compile(rf"step-(\d{{8,}}){re.escape(suffix)}")
    folder = Path(folder)
    if not folder.is_dir():
        return {}
    matches = ((named.fullmatch(path.name), path) for path in folder.iterdir())
    return dict(sorted((int(match[1]), path) for match, path in matches if match))


def _may_become(on_resume: OnResume, before: Any, now: Any) -> bool:
    """Whether an option may have a different value when a run is resumed."""
    if on_resume == "may grow":
        return before is None or now is None or now >= before
    return on_resume == "free" or now == before
