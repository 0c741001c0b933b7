"""`python -m experiments.bench --grid`: how fast eight runs finish, compared with `model.fit`.

Each contestant is one program. It is timed from its start to the end of its last run; what the grid
does after that (the report) is timed separately, since model.fit makes no report. The time includes
training, evaluation on the test images after each epoch, and event files. The grid also writes
checkpoints, histograms, images and the loss of every step; model.fit writes what its TensorBoard
callback writes by default. The contestants take turns: compare the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lenet.recording import runs

ACTIVATIONS, OPTIMIZERS, SEEDS = ("relu", "tanh"), ("sgd", "adam"), (0, 1)
CONTESTANTS = ("model.fit", "workers 0", "workers 2")


def measure(data_dir: Path | None, rounds: int, epochs: int, batch_size: int) -> None:
    """Times the contestants in turn and prints seconds and ratios."""
    num_runs = len(ACTIVATIONS) * len(OPTIMIZERS) * len(SEEDS)
    print(f"{num_runs} runs of {epochs} epochs, batch {batch_size}, rounds: {rounds}", flush=True)
    trained: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    complete: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name in CONTESTANTS:
            with tempfile.TemporaryDirectory() as logdir:
                command = _command(name, data_dir, epochs, batch_size, logdir)
                until_trained, until_end = _time(command, Path(logdir), num_runs)
            trained[name].append(until_trained)
            complete[name].append(until_end)
            print(f"{name:10}{until_trained:8.1f} s trained {until_end:8.1f} s in all", flush=True)
    for title, above, below in (
        ("speed, workers 2 / workers 0", "workers 0", "workers 2"),
        ("speed, workers 2 / model.fit", "model.fit", "workers 2"),
    ):
        ratios = [a / b for a, b in zip(trained[above], trained[below], strict=True)]
        both = [a / b for a, b in zip(complete[above], complete[below], strict=True)]
        print(
            f"{title:30}{statistics.median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
            f"with the report {statistics.median(both):.2f}"
        )


def fit_with_keras(options: argparse.Namespace) -> None:
    """The contestant model.fit: eight models, one after the other, in the usual way."""
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
                folder = Path(options.logdir) / f"{activation}-{optimizer}-seed{seed}"
                verbose: Any = 0
                model.fit(
                    *train,
                    batch_size=options.batch_size,
                    epochs=options.epochs,
                    validation_data=test,
                    verbose=verbose,
                    callbacks=[keras.callbacks.TensorBoard(str(folder))],
                )
                runs.write_status(folder, {"state": "done"})  # As a run of the grid does.


def _command(
    name: str, data_dir: Path | None, epochs: int, batch_size: int, logdir: str
) -> list[str]:
    options = ["--epochs", str(epochs), "--batch-size", str(batch_size), "--logdir", logdir]
    options += ["--data-dir", str(data_dir)] if data_dir else []
    if name == "model.fit":
        return [sys.executable, "-m", "experiments.bench", "--contestant", "grid", *options]
    options += ["--activations", *ACTIVATIONS, "--optimizers", *OPTIMIZERS]
    options += ["--seeds", *map(str, SEEDS), "--workers", name.split()[1]]
    return [sys.executable, "-m", "experiments.grid", *options]


def _time(command: Sequence[str], logdir: Path, num_runs: int) -> tuple[float, float]:
    """Runs a contestant; returns the seconds to the end of its last run, and to its own end."""
    started = time.time()
    process = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    ended = time.time()
    statuses = list(logdir.rglob(runs.STATUS))  # Each is last written when its run ends.
    done = [path for path in statuses if runs.read_status(path.parent).get("state") == "done"]
    if process.returncode or len(done) != num_runs:
        raise SystemExit(f"A contestant failed: {shlex.join(command)}")
    return max(path.stat().st_mtime for path in done) - started, ended - started
