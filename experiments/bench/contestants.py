"""The contestants: the program that starts each one, and a description."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from experiments.bench.settings import Settings


@dataclass(frozen=True)
class Entry:
    """One contestant.

    Attributes:
        program: the module to start, with the settings and `how` as its arguments.
        how: the variant of the program.
        words: a description of the contestant.
        needs: a package that it needs and that `lenet` does not depend on.
    """

    program: str
    how: str
    words: str
    needs: str | None = None


OURS, LOGGED, FIT, BEST_FIT = "lenet", "lenet, all logging", "model.fit", "model.fit, best"
LOOP, EAGER, COMPILED = "step loop", "PyTorch eager", "PyTorch compile"
LOGGED_LOOP, LOGGED_FIT = "step loop, logging", "model.fit, TensorBoard"

CONTESTANTS: dict[str, Entry] = {
    OURS: Entry(
        "experiments.bench.ours", "bare", "lenet without logging: no logged steps, no inspections"
    ),
    LOGGED: Entry("experiments.bench.ours", "full", "lenet with all logging at its defaults"),
    FIT: Entry(
        "experiments.bench.keras_fit",
        "plain",
        "Keras model.fit on float32 arrays in memory, with TensorFlow's own thread settings",
    ),
    BEST_FIT: Entry(
        "experiments.bench.keras_fit",
        "best",
        "model.fit with the fastest steps_per_execution (1, 10, 50 or 100) on this machine",
    ),
    LOOP: Entry(
        "experiments.bench.step_loop",
        "plain",
        "a Python loop over tf.data that calls one tf.function per step",
    ),
    EAGER: Entry(
        "experiments.bench.torch_loop",
        "eager",
        "a PyTorch loop with the data in memory, fused Adam, and one thread or one per processor, "
        "whichever is faster here",
        needs="torch",
    ),
    COMPILED: Entry(
        "experiments.bench.torch_loop",
        "compile",
        "the same PyTorch loop, with the forward pass and the loss in torch.compile",
        needs="torch",
    ),
    LOGGED_LOOP: Entry(
        "experiments.bench.step_loop",
        "looking",
        "the Python loop with tf.summary: scalars at each step; histograms of weights, gradients "
        "and activations, and images of kernels, feature maps and matrices every 200 steps",
    ),
    LOGGED_FIT: Entry(
        "experiments.bench.keras_fit",
        "tensorboard",
        "model.fit with its TensorBoard callback: histograms of the weights after each epoch "
        "(histogram_freq=1), loss and accuracy at each step (update_freq=1)",
    ),
}


def command(name: str, settings: Settings) -> list[str]:
    """The command that starts a contestant."""
    entry = CONTESTANTS[name]
    return [sys.executable, "-m", entry.program, settings.to_json(), entry.how]


def available(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """The contestants whose packages are installed, and the reasons why others are left out."""
    missing = {
        name: f"needs {needs}: pip install 'lenet[bench]'"
        for name in names
        if (needs := CONTESTANTS[name].needs) and importlib.util.find_spec(needs) is None
    }
    return [name for name in names if name not in missing], missing
