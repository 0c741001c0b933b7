"""Saves and restores a run's exact state, in one folder per checkpoint, complete or absent.

A folder is written under a temporary name. Every file is fsynced and listed with its size and
sha256 in `manifest.json`. Then the folder is renamed. The arrays are plain npz files, so that
`numpy.load("…/model.npz")["conv1/kernel"]` reads a kernel without TensorFlow.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenet import files, reading
from lenet.recording import runs

if TYPE_CHECKING:
    import keras

MODEL, OPTIMIZER, STATE, MANIFEST = "model.npz", "optimizer.npz", "state.json", "manifest.json"
BEST_STEP = "best_step"


@dataclass(frozen=True)
class Checkpoint:
    """One valid checkpoint.

    Attributes:
        step: the number of updates when it was saved.
        state: the JSON values that the trainer saved next to the weights.
        skipped: newer checkpoints that are damaged, each with the reason.
    """

    path: Path
    step: int
    state: dict[str, Any]
    skipped: tuple[str, ...] = ()

    def model_arrays(self) -> dict[str, np.ndarray]:
        """The model's variables by path, e.g. "conv1/kernel"."""
        return reading.read_arrays(self.path / MODEL)

    def evaluations(self, key: str = "evaluations") -> list[tuple[int, float, float]]:
        """Step, loss and accuracy of all evaluations before it was saved.

        Args:
            key: "evaluations" for those on the test images, or "validation".
        """
        return [(step, loss, accuracy) for step, loss, accuracy in self.state.get(key, [])]

    def optimizer_arrays(self) -> dict[str, np.ndarray]:
        """The optimizer's variables by path, e.g. "lenet_conv1_kernel_momentum"."""
        return reading.read_arrays(self.path / OPTIMIZER)


def save(
    folder: Path,
    step: int,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    state: dict[str, Any],
    keep: int = 2,
    best_step: int | None = None,
) -> Path:
    """Saves a checkpoint. Older ones are removed only after it is safe on the disk.

    Args:
        folder: the run's `checkpoints` folder; created if necessary.
        step: the number of updates so far.
        state: JSON values to save next to the weights.
        keep: the number of checkpoints to keep.
        best_step: the step of an earlier checkpoint to keep in addition. `best_or_newest` finds it.

    Returns:
        The checkpoint's folder.

    Raises:
        OSError: it cannot be written; older checkpoints do not change.
    """
    if not folder.exists():
        folder.mkdir(parents=True)
        files.sync(folder.parent)
    target = folder / runs.step_name(step)
    if target.exists() and _problem(target, step) is None:
        return target
    temporary = folder / f"{files.PREFIX}{target.name}"
    files.remove(temporary)
    temporary.mkdir()
    try:
        contents = {
            MODEL: _pack(model.weights),
            OPTIMIZER: _pack(optimizer.variables),
            STATE: json.dumps(
                state | ({} if best_step is None else {BEST_STEP: best_step})
            ).encode(),
        }
        manifest = {
            "step": step,
            "files": {
                name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in contents.items()
            },
        }
        contents[MANIFEST] = json.dumps(manifest, indent=2).encode()
        for name, content in contents.items():
            files.write_durably(temporary / name, content)
        files.sync(temporary)
        files.remove(target)
        temporary.rename(target)
        files.sync(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(temporary)
        raise
    _remove_older(folder, step, keep, best_step)
    return target


def _remove_older(folder: Path, step: int, keep: int, best_step: int | None) -> None:
    """Keeps the newest valid checkpoints up to a step and the best one, and removes older ones.

    Later checkpoints do not count: a resume skipped them because they are damaged.
    """
    valid = 0
    for saved_step, path in reversed(runs.by_step(folder).items()):
        if valid >= keep and saved_step != best_step:
            with contextlib.suppress(OSError):
                files.remove(path)
        elif valid < keep and saved_step <= step and _problem(path, saved_step) is None:
            valid += 1


def newest_valid(folder: Path) -> Checkpoint | None:
    """Finds the newest valid checkpoint.

    Returns:
        The checkpoint, or None if none was ever saved.

    Raises:
        RunError: all checkpoints are damaged; the message says what is wrong with each.
    """
    skipped: list[str] = []
    for step, path in reversed(runs.by_step(folder).items()):
        problem = _problem(path, step)
        if problem is None:
            state = reading.read_json(path / STATE)
            return Checkpoint(path, step, state, tuple(skipped))
        skipped.append(f"{path.name}: {problem}")
    if skipped:
        raise runs.RunError(
            f"All checkpoints in {folder} are damaged ({'; '.join(skipped)}). "
            "Restore the folder from a copy, or start a new run."
        )
    return None


def best_or_newest(folder: Path) -> Checkpoint | None:
    """The checkpoint of the network that a run has learned.

    With early stopping, this is the checkpoint with the lowest validation loss so far. Otherwise,
    or if that one is damaged, it is the newest valid one; see `newest_valid`.
    """
    newest = newest_valid(folder)
    best_step = None if newest is None else newest.state.get(BEST_STEP)
    if newest is None or best_step in (None, newest.step):
        return newest
    path = folder / runs.step_name(best_step)
    problem = _problem(path, best_step)
    if problem is not None:
        return replace(newest, skipped=(*newest.skipped, f"{path.name}: {problem}"))
    return replace(newest, path=path, step=best_step)


def restore(
    checkpoint: Checkpoint,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer | None = None,
) -> None:
    """Restores a model and, if given, a built optimizer from a checkpoint.

    Raises:
        ValueError: the checkpoint belongs to a different network or optimizer.
    """
    _assign(model.weights, checkpoint.model_arrays(), checkpoint.path / MODEL)
    if optimizer is not None:
        _assign(optimizer.variables, checkpoint.optimizer_arrays(), checkpoint.path / OPTIMIZER)


def weights_sha256(model: keras.Model) -> str:
    """The sha256 of the paths, shapes and bytes of all weights of a model."""
    digest = hashlib.sha256()
    for variable in model.weights:
        value = np.asarray(variable)
        digest.update(f"{variable.path} {value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _problem(path: Path, step: int) -> str | None:
    """The reason why the checkpoint of a step is not valid, or None."""
    if not path.is_dir():
        return "it is not a folder"
    name = MANIFEST
    try:
        manifest = reading.read_json(path / MANIFEST)
        listed = {name: manifest["files"][name] for name in (MODEL, OPTIMIZER, STATE)}
        if manifest["step"] != step:
            return f"it is the checkpoint of step {int(manifest['step']):,} under a different name"
        for name, expected in listed.items():
            with reading.open_file(path / name) as file:
                size = os.fstat(file.fileno()).st_size
                if size != expected["size"]:
                    return f"{name} has {size:,} bytes, not {int(expected['size']):,}"
                if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                    return f"{name} is damaged (its sha256 is wrong)"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"
    except (ValueError, KeyError, TypeError, OverflowError):
        return f"{name} cannot be read"
    return None


def _pack(variables: list[Any]) -> bytes:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {_key(variable): np.asarray(variable) for variable in variables}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _key(variable: Any) -> str:
    """A variable's path without the name of its model or optimizer.

    Keras numbers the optimizers of a process (adam, adam_1, …). With these names, the second run
    in a notebook could not resume what the first one saved.
    """
    return variable.path.split("/", 1)[-1]


def _assign(variables: list[Any], arrays: dict[str, np.ndarray], path: Path) -> None:
    expected = {_key(v): (tuple(v.shape), np.dtype(v.dtype)) for v in variables}
    received = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    if expected != received:
        different = sorted(
            name for name in expected | received if expected.get(name) != received.get(name)
        )
        raise ValueError(
            f"{path} does not fit this network. These differ in name, shape or type: {', '.join(different)}."
        )
    for variable in variables:
        variable.assign(arrays[_key(variable)])
