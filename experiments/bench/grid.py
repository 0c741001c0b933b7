"""`python -m experiments.bench --grid`: how fast eight runs finish, beside eight by `model.fit`.

Each contestant is one program, timed from its start to the end of its last run; what the grid
does then (the report) is timed apart, since model.fit makes none. Training, evaluation of the test
images after each epoch, and event files are part of it; the grid also writes checkpoints,
histograms, pictures and every step's loss, model.fit what its TensorBoard callback writes by
default. The contestants take turns: read the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ACTIVATIONS, OPTIMIZERS, SEEDS = ("relu", "tanh"), ("sgd", "adam"), (0, 1)
CONTESTANTS = ("model.fit", "workers 0", "workers 2")
# The grid prints its leader board when the last run has ended.
LAST_RUN_ENDED = "combination "


def measure(data_dir: Path | None, rounds: int, epochs: int, batch_size: int) -> None:
    """Times the contestants in turn and prints seconds and ratios."""
    runs = len(ACTIVATIONS) * len(OPTIMIZERS) * len(SEEDS)
    print(f"{runs} runs of {epochs} epochs, batch {batch_size}, rounds: {rounds}", flush=True)
    trained: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    whole: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name in CONTESTANTS:
            with tempfile.TemporaryDirectory() as logdir:
                words = _command(name, data_dir, epochs, batch_size, logdir)
                until_trained, until_end = _time(words)
            trained[name].append(until_trained)
            whole[name].append(until_end)
            print(f"{name:10}{until_trained:8.1f} s trained {until_end:8.1f} s whole", flush=True)
    for title, above, below in (
        ("speed, workers 2 / workers 0", "workers 0", "workers 2"),
        ("speed, workers 2 / model.fit", "model.fit", "workers 2"),
    ):
        ratios = [a / b for a, b in zip(trained[above], trained[below], strict=True)]
        both = [a / b for a, b in zip(whole[above], whole[below], strict=True)]
        print(
            f"{title:30}{statistics.median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
            f"with the report {statistics.median(both):.2f}"
        )


def fit_with_keras(options: argparse.Namespace) -> None:
    """The contestant model.fit: eight models, one after the other, as people write it."""
    from lenet.data.datasets import load_dataset
    from lenet.training.runtime import quiet_stderr

    with quiet_stderr():
        import keras
        import tensorflow as tf

        tf.constant(0)  # The devices start here, and talk while they do.
    from lenet.networks.architectures import LeNet

    dataset = load_dataset("auto", options.data_dir)
    train, test = (
        (split.images.astype("float32") / 255, split.labels)
        for split in (dataset.train, dataset.test)
    )
    for activation in ACTIVATIONS:
        for optimizer in OPTIMIZERS:
            for seed in SEEDS:
                keras.utils.set_random_seed(seed)
                inputs = keras.Input(dataset.image_shape)
                network = LeNet(dataset.image_shape, len(dataset.class_names), activation)
                model = keras.Model(inputs, network(inputs)[0])
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
                folder = f"{options.logdir}/{activation}-{optimizer}-seed{seed}"
                verbose: Any = 0
                model.fit(
                    *train,
                    batch_size=options.batch_size,
                    epochs=options.epochs,
                    validation_data=test,
                    verbose=verbose,
                    callbacks=[keras.callbacks.TensorBoard(folder)],
                )
    print(LAST_RUN_ENDED, flush=True)


def _command(
    name: str, data_dir: Path | None, epochs: int, batch_size: int, logdir: str
) -> list[str]:
    words = ["--epochs", str(epochs), "--batch-size", str(batch_size), "--logdir", logdir]
    words += ["--data-dir", str(data_dir)] if data_dir else []
    if name == "model.fit":
        return [sys.executable, "-m", "experiments.bench", "--contestant", "grid", *words]
    words += ["--activations", *ACTIVATIONS, "--optimizers", *OPTIMIZERS]
    words += ["--seeds", *map(str, SEEDS), "--workers", name.split()[1]]
    return [sys.executable, "-m", "experiments.grid", *words]


def _time(words: Sequence[str]) -> tuple[float, float]:
    """Runs a contestant; returns the seconds to the end of its last run, and to its own end."""
    started = time.perf_counter()
    trained = 0.0
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith(LAST_RUN_ENDED):
                trained = time.perf_counter() - started
    if process.returncode or not trained:
        raise SystemExit(f"A contestant failed: {words}")
    return trained, time.perf_counter() - started
