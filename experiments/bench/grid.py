"""The part `grid`: eight runs with two workers, one after another, and with `model.fit`.

The time is measured from the start of the program to the end of its last run. It includes
training, evaluation on the test images after each epoch, and event files. The report of the grid
is timed separately, since model.fit writes no report. The grid also writes checkpoints,
histograms, images and the loss of every step. model.fit writes only the default output of its
TensorBoard callback.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.bench.options import Options
from experiments.bench.rounds import Answer, ContestantError, compare, time_command
from experiments.bench.settings import Settings, floats
from lenet.recording import runs

ACTIVATIONS, OPTIMIZERS, SEEDS = ("relu", "tanh"), ("sgd", "adam"), (0, 1)
ROUNDS = 2
EPOCHS, QUICK_EPOCHS, BATCH_SIZE = 2, 1, 100
FIT, ONE_BY_ONE, TWO_WORKERS = "model.fit", "one after another", "2 workers"
WORDS = {
    FIT: "eight models, one after another, with model.fit and its TensorBoard callback",
    ONE_BY_ONE: "python -m experiments.grid --workers 0",
    TWO_WORKERS: "python -m experiments.grid --workers 2",
}


def measure(options: Options) -> Answer:
    """Times the contestants in turns."""
    epochs = QUICK_EPOCHS if options.quick else EPOCHS
    num_runs = len(ACTIVATIONS) * len(OPTIMIZERS) * len(SEEDS)
    settings = options.settings(batch_size=BATCH_SIZE, turns=epochs, at_most=None)
    answers: dict[str, list[Answer]] = {name: [] for name in WORDS}
    for _ in range(options.rounds_of(ROUNDS)):
        for name, own in answers.items():
            with tempfile.TemporaryDirectory() as logdir:
                command = _command(name, options, settings, logdir)
                own.append(_time(command, Path(logdir), num_runs))
            print(f"{name}: {own[-1]['trained_seconds']:.1f} s", flush=True)
    setting = f"{num_runs} runs, batch {BATCH_SIZE}, {epochs} epoch{'' if epochs == 1 else 's'}"

    def ratio(above: str, kind: str, meaning: str = "") -> Answer:
        slower, faster = ([a[kind] for a in answers[name]] for name in (above, TWO_WORKERS))
        return compare(f"{above} / {TWO_WORKERS}{meaning}", slower, faster, setting=setting)

    return {
        "measurements": [
            {"contestant": name, "what": WORDS[name], "setting": setting, "answers": own}
            for name, own in answers.items()
        ],
        "ratios": [
            ratio(ONE_BY_ONE, "trained_seconds"),
            ratio(FIT, "trained_seconds"),
            ratio(FIT, "seconds", ", with the report"),
        ],
        "notes": [],
    }


def fit_with_keras(settings: Settings, logdir: Path) -> None:
    """The contestant model.fit: trains eight models, one after another, in the usual way."""
    from experiments.bench.keras_fit import SILENT, functional_model, keras

    dataset = settings.dataset()
    train, test = (
        (floats(dataset, split), split.labels) for split in (dataset.train, dataset.test)
    )
    for activation, optimizer, seed in itertools.product(ACTIVATIONS, OPTIMIZERS, SEEDS):
        keras.utils.set_random_seed(seed)
        model = functional_model(
            Settings(model=settings.model, activation=activation, seed=seed), dataset
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        folder = logdir / f"{activation}-{optimizer}-seed{seed}"
        model.fit(
            *train,
            batch_size=settings.batch_size,
            epochs=settings.turns,
            validation_data=test,
            verbose=SILENT,
            callbacks=[keras.callbacks.TensorBoard(str(folder))],
        )
        runs.write_status(folder, {"state": "done"})  # As a run of the grid does.


def _command(name: str, options: Options, settings: Settings, logdir: str) -> list[str]:
    if name == FIT:
        return [sys.executable, "-m", "experiments.bench.grid", settings.to_json(), logdir]
    arguments: list[Any] = ["--epochs", settings.turns, "--batch-size", settings.batch_size]
    arguments += ["--activations", *ACTIVATIONS, "--optimizers", *OPTIMIZERS, "--seeds", *SEEDS]
    arguments += ["--workers", 0 if name == ONE_BY_ONE else 2, "--logdir", logdir]
    arguments += options.data_arguments()
    return [sys.executable, "-m", "experiments.grid", *map(str, arguments)]


def _time(command: list[str], logdir: Path, num_runs: int) -> Answer:
    """Runs a contestant; `trained_seconds` is the time to the end of its last run."""
    started = time.time()
    answer = time_command(command)
    statuses = list(logdir.rglob(runs.STATUS))  # Each is written last when its run ends.
    done = [path for path in statuses if runs.read_status(path.parent).get("state") == "done"]
    if len(done) != num_runs:
        raise ContestantError(f"Only {len(done)} of {num_runs} runs finished: {command}")
    return {**answer, "trained_seconds": max(path.stat().st_mtime for path in done) - started}


if __name__ == "__main__":
    fit_with_keras(Settings.from_json(sys.argv[1]), Path(sys.argv[2]))
