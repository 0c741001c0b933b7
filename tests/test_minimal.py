"""docs/minimal.py: short, on its own, and equal to `lenet.train` to the last bit."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lenet.recording import events

CommandLine = Callable[..., subprocess.CompletedProcess[str]]
# One tower: the readable program does not split its batches. Nothing is looked at, to be quick.
SAME_NETWORK = ("--towers", "1", "--inspect-every", "0", "--no-figures", "--quiet")


def run_minimal(folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs docs/minimal.py in a folder of its own, without `lenet` in reach."""
    program = Path(__file__).resolve().parent.parent / "docs" / "minimal.py"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(program), *map(str, options)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def sha256_of(result: subprocess.CompletedProcess[str]) -> str:
    """What a program printed of its weights."""
    assert result.returncode == 0, result.stderr
    printed = re.search(r"^Weights +sha256 ([0-9a-f]{64})$", result.stdout, re.MULTILINE)
    assert printed, result.stdout
    return printed[1]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            ("--optimizer", "sgd", "--activation", "sigmoid", "--seed", "3"),
            id="sgd",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("--optimizer", "momentum", "--activation", "tanh"),
            id="momentum",
            marks=pytest.mark.slow,
        ),
        pytest.param(("--optimizer", "adam", "--activation", "relu"), id="adam"),
    ],
)
def test_it_ends_with_the_weights_of_lenet_train(
    options: tuple[str, ...], tmp_path: Path, command_line: CommandLine
) -> None:
    options = (*options, "--epochs", "3")
    own = run_minimal(tmp_path, *options)
    full = command_line(*options, "--dataset", "digits", *SAME_NETWORK, "--logdir", tmp_path)
    assert sha256_of(own) == sha256_of(full)


@pytest.mark.slow
def test_on_mnist_too_it_ends_with_the_weights_of_lenet_train(
    tmp_path: Path, mnist_folder: Path, command_line: CommandLine
) -> None:
    options = ("--data-dir", mnist_folder, "--epochs", "1")
    own = run_minimal(tmp_path, *options)
    full = command_line(*options, *SAME_NETWORK, "--logdir", tmp_path)
    assert sha256_of(own) == sha256_of(full)


def test_it_learns_and_records_what_tensorboard_shows(tmp_path: Path) -> None:
    result = run_minimal(tmp_path, "--epochs", "8")
    assert result.returncode == 0, result.stderr
    epochs = re.findall(r"Epoch (\d)/8: test loss [\d.]+, test accuracy ([\d.]+)%", result.stdout)
    assert [int(epoch) for epoch, _ in epochs] == list(range(1, 9))
    [run] = (tmp_path / "summary_logs").iterdir()
    assert run.name.startswith("minimal-relu-adam-")
    recorded = events.read_tensors(run)
    per_epoch = [25 * epoch for epoch in range(1, 9)]
    assert {tag: list(steps) for tag, (steps, _) in recorded.items()} == {
        "train/loss": list(range(1, 201)),
        **dict.fromkeys(("test/loss", "test/accuracy"), per_epoch),
        **dict.fromkeys(("conv1/kernel", "conv1/kernels", "fc2/by_class"), per_epoch),
    }
    accuracies = recorded["test/accuracy"][1]
    assert [f"{accuracy:.2%}" for accuracy in accuracies] == [f"{shown}%" for _, shown in epochs]
    assert accuracies[-1] > 0.85
    assert recorded["conv1/kernel"][1][-1][:, 2].sum() == 5 * 5 * 6
    kernels, fc2 = pictures(recorded["conv1/kernels"]), pictures(recorded["fc2/by_class"])
    assert [kernel.shape for kernel in kernels] == [(5, 5)] * 6
    assert (min(kernel.min() for kernel in kernels), max(k.max() for k in kernels)) == (0, 255)
    [by_class] = fc2
    assert by_class.shape == (1000, 84)
    # A hundred rows of each digit: within a digit the rows are alike, between digits they differ.
    means = by_class.reshape(10, 100, 84).mean(1)
    assert by_class.reshape(10, 100, 84).std(1).mean() < 2 * means.std(0).mean()


def pictures(recorded: tuple[np.ndarray, list[np.ndarray]]) -> list[np.ndarray]:
    """The images that were written last under one tag."""
    return [np.asarray(Image.open(io.BytesIO(png))) for png in recorded[1][-1][2:]]


def test_it_is_short_and_imports_nothing_from_lenet(root: Path) -> None:
    source = (root / "docs" / "minimal.py").read_text()
    assert len(source.splitlines()) <= 120
    tree = ast.parse(source)
    assert ast.get_docstring(tree)
    names: set[str | None] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    assert {"tensorflow", "keras"} <= names
    assert not {name for name in names if str(name).startswith(("lenet", "experiments"))}
