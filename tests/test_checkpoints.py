"""Checkpoints: the very bits come back, and nothing that is not whole is ever trusted."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from lenet import files
from lenet.networks.architectures import LeNet
from lenet.networks.optimizers import build_optimizer
from lenet.recording import checkpoints
from lenet.recording.runs import RunError

FILES = ("model.npz", "optimizer.npz", "state.json", "manifest.json")
STATE = {"seconds": 1.25, "evaluations": [[0, 2.5, 0.1]]}
Pair = tuple[LeNet, keras.optimizers.Optimizer]


def make(seed: int, optimizer: str = "adam") -> Pair:
    """A network and an optimizer full of numbers that depend on the seed."""
    model = LeNet(image_shape=(12, 12, 1), num_classes=3, seed=seed)
    built = build_optimizer(optimizer, 0.01)
    built.build(model.trainable_variables)
    rng = np.random.default_rng(seed)
    for variable in built.variables:
        variable.assign(np.asarray(rng.random(variable.shape) * 100).astype(variable.dtype))
    return model, built


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A network and its optimizer, to be saved."""
    return make(seed=1)


def values(pair: Pair) -> list[np.ndarray]:
    """Every number that a checkpoint has to keep."""
    return [np.asarray(variable).copy() for part in pair for variable in part.variables]


def names(folder: Path) -> list[str]:
    """All that a folder holds, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_the_very_bits_come_back(tmp_path: Path, optimizer: str) -> None:
    saved, other = make(1, optimizer), make(2, optimizer)
    saved[0].fc1.bias.assign(np.linspace(-1e-40, np.nan, 120))
    path = checkpoints.save(tmp_path / "new", 600, *saved, STATE)
    assert path == tmp_path / "new" / "step-00000600"
    assert names(path) == sorted(FILES)
    found = checkpoints.newest_valid(tmp_path / "new")
    assert found is not None
    assert (found.step, found.skipped) == (600, ())
    assert found.state == STATE  # Nothing is added if early stopping keeps no step.
    checkpoints.restore(found, *other)
    for expected, value in zip(values(saved), values(other), strict=True):
        assert value.dtype == expected.dtype
        assert value.tobytes() == expected.tobytes()
    assert checkpoints.weights_sha256(saved[0]) == checkpoints.weights_sha256(other[0])


def test_arrays_can_be_read_with_numpy_alone(tmp_path: Path, pair: Pair) -> None:
    path = checkpoints.save(tmp_path, 1, *pair, {})
    with np.load(path / "model.npz") as arrays:
        np.testing.assert_array_equal(arrays["conv1/kernel"], pair[0].conv1.kernel)


def test_the_manifest_lists_sizes_and_hashes(tmp_path: Path, pair: Pair) -> None:
    path = checkpoints.save(tmp_path, 7, *pair, STATE)
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["step"] == 7
    assert set(manifest["files"]) == {"model.npz", "optimizer.npz", "state.json"}
    for name, listed in manifest["files"].items():
        assert listed["size"] == (path / name).stat().st_size
        assert len(listed["sha256"]) == 64


def test_where_none_was_ever_saved_there_is_none(tmp_path: Path) -> None:
    assert checkpoints.newest_valid(tmp_path / "absent") is None
    assert checkpoints.newest_valid(tmp_path) is None


def test_steps_are_ordered_as_numbers(tmp_path: Path, pair: Pair) -> None:
    for step in (99_999_999, 100_000_000):
        checkpoints.save(tmp_path, step, *pair, {})
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert found.step == 100_000_000


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def remove(file: Path) -> None:
    file.unlink()


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [truncate, empty, flip, remove, zero], ids=lambda f: f.__name__)
def test_a_damaged_one_is_skipped_with_the_reason(
    tmp_path: Path, pair: Pair, damage: Callable[[Path], None], file: str
) -> None:
    checkpoints.save(tmp_path, 100, *pair, STATE)
    newer = checkpoints.save(tmp_path, 200, *pair, STATE)
    damage(newer / file)
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert found.step == 100
    (reason,) = found.skipped
    assert reason.startswith("step-00000200: ")
    assert file in reason or file == "manifest.json"


@pytest.mark.slow
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, pair: Pair) -> None:
    path = checkpoints.save(tmp_path, 100, *pair, STATE)
    rng = np.random.default_rng(0)
    for name in ("model.npz", "optimizer.npz", "state.json"):
        whole = (path / name).read_bytes()
        for place in rng.choice(len(whole), min(200, len(whole)), replace=False):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << rng.integers(8)
            (path / name).write_bytes(damaged)
            with pytest.raises(RunError, match=name):
                checkpoints.newest_valid(tmp_path)
        (path / name).write_bytes(whole)
    assert checkpoints.newest_valid(tmp_path) is not None


@pytest.mark.parametrize("content", ["[]", "{}", '{"files": null}', '{"files": {"model.npz": 3}}'])
def test_a_manifest_of_another_shape_is_not_trusted(
    tmp_path: Path, pair: Pair, content: str
) -> None:
    path = checkpoints.save(tmp_path, 100, *pair, STATE)
    (path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match=r"step-00000100: manifest\.json cannot be read"):
        checkpoints.newest_valid(tmp_path)


def test_where_none_is_whole_it_fails_and_names_each(tmp_path: Path, pair: Pair) -> None:
    truncate(checkpoints.save(tmp_path, 100, *pair, STATE) / "model.npz")
    remove(checkpoints.save(tmp_path, 200, *pair, STATE) / "manifest.json")
    expected = r"All checkpoints in .*step-00000200: manifest\.json is missing; step-00000100: model\.npz has"
    with pytest.raises(RunError, match=expected):
        checkpoints.newest_valid(tmp_path)


@pytest.mark.parametrize("keep", [2, 3])
def test_the_newest_are_kept(tmp_path: Path, pair: Pair, keep: int) -> None:
    for step in range(1, 6):
        checkpoints.save(tmp_path, step, *pair, STATE, keep)
    assert names(tmp_path) == [f"step-{step:08d}" for step in range(6 - keep, 6)]


def test_damaged_newer_ones_cost_no_whole_one_its_place(tmp_path: Path, pair: Pair) -> None:
    for step in (100, 200, 300):
        checkpoints.save(tmp_path, step, *pair, STATE, keep=3)
    for step in (200, 300):
        truncate(tmp_path / f"step-{step:08d}" / "model.npz")
    checkpoints.save(tmp_path, 150, *pair, STATE, keep=2)
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert found.step == 150
    assert "step-00000100" in names(tmp_path)


@pytest.mark.parametrize("name", ["step-00000300", "step-00000200"])
def test_one_under_the_name_of_another_step_is_skipped(
    tmp_path: Path, pair: Pair, name: str
) -> None:
    for step in (100, 200):
        checkpoints.save(tmp_path, step, *pair, STATE)
    shutil.rmtree(tmp_path / name, ignore_errors=True)
    shutil.copytree(tmp_path / "step-00000100", tmp_path / name)
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert found.step == (200 if name == "step-00000300" else 100)
    assert found.skipped == (f"{name}: it is the checkpoint of step 100 under a different name",)


def test_a_damaged_older_one_does_not_count_as_kept(tmp_path: Path, pair: Pair) -> None:
    for step in (100, 200, 300):
        checkpoints.save(tmp_path, step, *pair, STATE, keep=3)
    truncate(tmp_path / "step-00000300" / "model.npz")
    checkpoints.save(tmp_path, 400, *pair, STATE, keep=2)
    assert names(tmp_path) == ["step-00000200", "step-00000300", "step-00000400"]
    checkpoints.save(tmp_path, 500, *pair, STATE, keep=2)
    assert names(tmp_path) == ["step-00000400", "step-00000500"]


def test_files_in_place_of_its_folders_are_replaced(tmp_path: Path, pair: Pair) -> None:
    for name in (".writing-step-00000200", "step-00000200", "step-00000300"):
        (tmp_path / name).write_text("a file")
    checkpoints.save(tmp_path, 200, *pair, STATE)
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert (found.step, found.skipped) == (200, ("step-00000300: it is not a folder",))


def test_a_damaged_one_of_the_same_step_is_replaced(tmp_path: Path, pair: Pair) -> None:
    path = checkpoints.save(tmp_path, 100, *pair, STATE)
    truncate(path / "optimizer.npz")
    checkpoints.save(tmp_path, 100, *pair, STATE)
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert (found.step, found.skipped) == (100, ())


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
)
def test_an_interrupted_save_leaves_the_older_ones(
    tmp_path: Path,
    pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    failing: int,
    error: BaseException,
) -> None:
    for step in (100, 200):
        checkpoints.save(tmp_path, step, *pair, STATE)
    write, written = files.write_durably, []

    def write_until(path: Path, content: bytes) -> None:
        if len(written) == failing:
            path.write_bytes(content[: len(content) // 2])
            raise error
        written.append(path)
        write(path, content)

    monkeypatch.setattr(files, "write_durably", write_until)
    with pytest.raises(type(error)):
        checkpoints.save(tmp_path, 300, *pair, STATE)
    assert names(tmp_path) == ["step-00000100", "step-00000200"]
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert (found.step, found.skipped) == (200, ())


def test_what_a_killed_process_left_is_harmless(tmp_path: Path, pair: Pair) -> None:
    checkpoints.save(tmp_path, 100, *pair, STATE)
    torn = tmp_path / ".writing-step-00000200"
    torn.mkdir()
    (torn / "model.npz").write_bytes(b"half a fi")
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert (found.step, found.skipped) == (100, ())
    checkpoints.save(tmp_path, 200, *pair, STATE)
    assert names(tmp_path) == ["step-00000100", "step-00000200"]
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    assert (found.step, found.skipped) == (200, ())


@pytest.mark.parametrize(
    ("other", "part", "expected"),
    [
        (lambda: make(1, "momentum"), 1, r"optimizer\.npz does not fit this network"),
        (lambda: (LeNet(num_classes=3), None), 0, r"model\.npz does not fit.*fc1/kernel"),
    ],
    ids=["optimizer", "network"],
)
def test_another_network_or_optimizer_is_refused(
    tmp_path: Path, pair: Pair, other: Callable[[], Any], part: int, expected: str
) -> None:
    checkpoints.save(tmp_path, 100, *pair, STATE)
    found = checkpoints.newest_valid(tmp_path)
    assert found is not None
    with pytest.raises(ValueError, match=expected):
        checkpoints.restore(found, *other())


def test_the_sha256_changes_with_every_weight(pair: Pair) -> None:
    model = LeNet(image_shape=(12, 12, 1), num_classes=3, seed=1)
    before = checkpoints.weights_sha256(model)
    assert before == checkpoints.weights_sha256(pair[0])
    bias = np.asarray(model.fc3.bias).copy()
    bias[-1] = np.nextafter(bias[-1], np.float32(1))
    model.fc3.bias.assign(bias)
    assert checkpoints.weights_sha256(model) != before


def test_a_copied_folder_is_still_whole(tmp_path: Path, pair: Pair) -> None:
    checkpoints.save(tmp_path / "a", 100, *pair, STATE)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert checkpoints.newest_valid(tmp_path / "b") is not None
