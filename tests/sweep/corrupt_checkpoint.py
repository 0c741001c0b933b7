"""Damaged checkpoints: no byte of one can change without being noticed."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lenet.recording import checkpoints, runs

from . import Trial

FAULT = "A checkpoint is damaged"
PROMISE = (
    "The newest valid checkpoint is used, and the damaged ones are named. If none is valid, there "
    "is an error. The weights are never wrong."
)
SAMPLE = 60
DATA_BYTES = 1_000
OLDER, NEWER = 100, 200
FILES = (checkpoints.MODEL, checkpoints.OPTIMIZER, checkpoints.STATE, checkpoints.MANIFEST)


def trials(folder: Path) -> Iterator[Trial]:
    """Every byte of the manifest, 1,000 bytes of the arrays, every file cut, emptied or deleted."""
    expected = _save_two(folder)
    newer = folder / runs.step_name(NEWER)
    rng = np.random.default_rng(0)
    manifest = newer / checkpoints.MANIFEST
    check = partial(_check, folder, expected)
    for place in range(manifest.stat().st_size):
        for bit in (0, 6):
            yield _trial(manifest, f"bit {bit} of byte {place} flipped", _flip(place, bit), check)
        yield _trial(manifest, f"byte {place} is zero", _zero(place, 1), check)
    for name in (checkpoints.MODEL, checkpoints.OPTIMIZER):
        path = newer / name
        for place in rng.choice(path.stat().st_size, DATA_BYTES // 2, replace=False).tolist():
            bit = int(rng.integers(8))
            yield _trial(path, f"bit {bit} of byte {place} flipped", _flip(place, bit), check)
    for place in range((newer / checkpoints.STATE).stat().st_size):
        yield _trial(newer / checkpoints.STATE, f"byte {place} flipped", _flip(place, 0), check)
    for name, percent in itertools.product(FILES, (0, 25, 50, 75, 99)):
        yield _trial(newer / name, f"cut to {percent} %", _cut(percent), check)
    for name in FILES:
        yield _trial(newer / name, "deleted", Path.unlink, check)
        yield _trial(newer / name, "a folder", _folder, check)
        yield _trial(newer / name, "4 KiB of zeros", _zero(0, 4096), check)
        yield _trial(newer / name, "the older one's", partial(_copy, folder), check)


def _save_two(folder: Path) -> dict[int, dict[str, bytes]]:
    """Saves two checkpoints with different weights. Returns their arrays by step."""
    from lenet.networks.architectures import LeNet
    from lenet.networks.optimizers import build_optimizer

    for step in (OLDER, NEWER):
        model = LeNet(image_shape=(12, 12, 1), num_classes=3, seed=step)
        optimizer = build_optimizer("momentum", 0.01)
        optimizer.build(model.trainable_variables)
        checkpoints.save(folder, step, model, optimizer, {"step": step})
    return {
        step: _arrays(checkpoints.Checkpoint(folder / runs.step_name(step), step, {}))
        for step in (OLDER, NEWER)
    }


def _arrays(checkpoint: checkpoints.Checkpoint) -> dict[str, bytes]:
    both = (checkpoint.model_arrays(), checkpoint.optimizer_arrays())
    return {name: array.tobytes() for arrays in both for name, array in arrays.items()}


def _trial(
    path: Path, what: str, damage: Callable[[Path], None], check: Callable[[], None]
) -> Trial:
    def run() -> None:
        whole = path.read_bytes()
        damage(path)
        try:
            check()
        finally:
            if path.is_dir():
                path.rmdir()
            path.write_bytes(whole)

    return Trial(f"{path.name}: {what}", run)


def _check(folder: Path, expected: dict[int, dict[str, bytes]]) -> None:
    found = checkpoints.newest_valid(folder)
    assert found is not None
    assert _arrays(found) == expected[found.step], f"step {found.step} has other weights"
    assert found.state["step"] == found.step
    if found.step == OLDER:
        [reason] = found.skipped
        assert reason.startswith(f"{runs.step_name(NEWER)}: "), reason
    hidden = folder / ".hidden"  # Without the older one, there is an error or the right weights.
    shutil.move(folder / runs.step_name(OLDER), hidden)
    try:
        alone = checkpoints.newest_valid(folder)
        assert alone is not None and alone.step == found.step == NEWER
    except runs.RunError as error:
        assert found.step == OLDER and runs.step_name(NEWER) in str(error)
    finally:
        shutil.move(hidden, folder / runs.step_name(OLDER))


def _flip(place: int, bit: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= 1 << bit
        path.write_bytes(content)

    return damage


def _zero(start: int, count: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[start : start + count] = bytes(min(count, len(content) - start))
        path.write_bytes(content)

    return damage


def _cut(percent: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * percent // 100])

    return damage


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _copy(folder: Path, path: Path) -> None:
    shutil.copy(folder / runs.step_name(OLDER) / path.name, path)
