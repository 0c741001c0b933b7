"""Resumes a run: checks its options and images, restores its weights, removes later records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from lenet import files
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset
from lenet.recording import checkpoints, events, inspections, metrics, runs
from lenet.recording.checkpoints import Checkpoint
from lenet.training.history import EpochSums


def check_same_run(config: TrainConfig, dataset: Dataset, run: Path) -> None:
    """Refuses to resume a run with different options or different images.

    Raises:
        FileNotFoundError: the folder contains no run.
        ValueError: the run has diverged, an option that must not change has changed, or the images
            differ.
    """
    saved, saved_dataset = runs.read_config(run)
    status: dict[str, Any] = {}
    with contextlib.suppress(ValueError):  # A damaged status.json does not prevent a resume.
        status = runs.read_status(run)
    if status.get("state") == "diverged":
        raise ValueError(
            f"The run in {run} diverged: at step {status.get('step')} its loss or its weights were "
            "no longer finite. It would diverge again. Start a new run, e.g. with a smaller "
            f"--learning-rate than {saved.learning_rate:g}."
        )
    runs.check_resumable(saved, config)
    if saved_dataset["sha256"] != dataset.sha256:
        raise ValueError(
            f"The run in {run} was trained on different images ({saved_dataset['name']}, sha256 "
            f"{saved_dataset['sha256'][:12]}…). These are {dataset.name}, sha256 "
            f"{dataset.sha256[:12]}…. Choose the images of the run with --data-dir."
        )


def restore(
    run: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    epoch_of: Callable[[int], int],
    warn: Callable[[str], None],
) -> Checkpoint | None:
    """Restores the newest valid checkpoint, and removes what was recorded after it.

    Args:
        epoch_of: returns the epoch of a step.
        warn: called with a message for each damaged file.

    Returns:
        The checkpoint; None if the run was interrupted before its first one. Training then
        starts from the beginning, and records step 0 again.

    Raises:
        RunError: all checkpoints are damaged.
    """
    checkpoint = checkpoints.newest_valid(run / runs.CHECKPOINTS)
    if checkpoint is not None:
        _check_state(checkpoint)
        for skipped in checkpoint.skipped:
            warn(f"Skipped a damaged checkpoint: {skipped}")
        checkpoints.restore(checkpoint, model, optimizer)
    last_kept = checkpoint.step if checkpoint is not None else -1
    evaluations = {}
    if checkpoint is not None:
        evaluations = {
            "test": checkpoint.evaluations(),
            "validation": checkpoint.evaluations("validation"),
        }
    if mended := metrics.mend(run, last_kept, evaluations, epoch_of):
        warn(mended)
    inspections.cut_after(run / runs.INSPECTIONS, last_kept)
    for split in ("train", "test", "validation"):
        events.cut_after(run / split, last_kept)
    files.remove(run / files.ERROR)
    return checkpoint


def _check_state(checkpoint: Checkpoint) -> None:
    """Raises a RunError if a checkpoint lacks what the trainer needs to continue."""
    try:
        EpochSums(**checkpoint.state["epoch_sums"])
        float(checkpoint.state["seconds"])
        checkpoint.evaluations()
        checkpoint.evaluations("validation")
    except (KeyError, TypeError, ValueError) as error:
        raise runs.RunError(
            f"{checkpoint.path / checkpoints.STATE} is damaged. Remove the folder "
            f"{checkpoint.path}, and resume again from the checkpoint before it."
        ) from error
