"""Saves and restores a run's exact state, in one folder per checkpoint, complete or absent.

A folder is written under a temporary name. Every file is fsynced and listed with its size and
sha256 in `manifest.json`. Then the folder is renamed. The arrays are plain npz files, so that
`numpy.load("…/model.npz")["conv1/kernel"]` reads a kernel without TensorFlow.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenet import files
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
        return _read_arrays(self.path / MODEL)

    def optimizer_arrays(self) -> dict[str, np.ndarray]:
        """The optimizer's variables by path, e.g. "lenet_conv1_kernel_momentum"."""
        return _read_arrays(self.path / OPTIMIZER)


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
        files.sync_folder(folder.parent)
    target = folder / runs.step_name(step)
    if target.exists() and _problem(target) is None:
        return target
    temporary = folder / f"{files.PREFIX}{target.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        contents = {
            MODEL: _pack(model.weights),
            OPTIMIZER: _pack(optimizer.variables),
            STATE: json.dumps({**state, BEST_STEP: best_step}, indent=2).encode(),
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
        files.sync_folder(temporary)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        files.sync_folder(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    # Later checkpoints do not count: a resume skipped them because they are damaged.
    saved = {each: path for each, path in runs.by_step(folder).items() if each <= step}
    for older in list(saved)[:-keep]:
        if older != best_step:
            shutil.rmtree(saved[older], ignore_errors=True)
    return target


def newest_valid(folder: Path) -> Checkpoint | None:
    """Finds the newest valid checkpoint.

    Returns:
        The checkpoint, or None if none was ever saved.

    Raises:
        RunError: all checkpoints are damaged; the message says what is wrong with each.
    """
    skipped: list[str] = []
    for step, path in reversed(runs.by_step(folder).items()):
        problem = _problem(path)
        if problem is None:
            state = json.loads((path / STATE).read_bytes())
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
    problem = _problem(path)
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


def _problem(path: Path) -> str | None:
    """The reason why a checkpoint is not valid, or None."""
    try:
        files = json.loads((path / MANIFEST).read_bytes())["files"]
        for name in (MODEL, OPTIMIZER, STATE):
            content = (path / name).read_bytes()
            if len(content) != files[name]["size"]:
                return f"{name} has {len(content):,} bytes, not {files[name]['size']:,}"
            if hashlib.sha256(content).hexdigest() != files[name]["sha256"]:
                return f"{name} is damaged (its sha256 is wrong)"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{MANIFEST} cannot be read ({type(error).__name__})"
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


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _assign(variables: list[Any], arrays: dict[str, np.ndarray], path: Path) -> None:
    expected = {_key(variable): tuple(variable.shape) for variable in variables}
    received = {name: array.shape for name, array in arrays.items()}
    if expected != received:
        different = sorted(
            name for name in expected | received if expected.get(name) != received.get(name)
        )
        raise ValueError(
            f"{path} does not fit this network. These differ in name or shape: {', '.join(different)}."
        )
    for variable in variables:
        variable.assign(arrays[_key(variable)])
