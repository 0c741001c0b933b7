"""The part `target`: the time to train a network with a test accuracy of 99 % on MNIST.

The schedule was chosen without the test images. `python -m experiments.bench.target FOLDER` trains
every candidate on 50,000 of the training images, evaluates it on the other 10,000, and prints a
table. `CHOSEN` has the fewest epochs of all candidates with at least the validation accuracy of
`FIRST_TRY`. Mean validation accuracy of three seeds, in %, by epochs, batch size and rate:

    epochs  batch   0.004  0.008  0.012
         2    128   98.51  98.76  98.73
         2    256   98.14  98.41  98.50
         3    128   98.72  98.87  98.86
         3    256   98.55  98.79  98.78
         4    128   98.83  98.93  98.99
         4    256   98.77  98.90  98.89
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.bench.options import Options
from experiments.bench.rounds import Answer, compare, time_command
from lenet.recording import runs

TARGET = 0.99
SEEDS = (0, 1, 2)
OURS, FIT = "lenet.train", "model.fit"
WORDS = {
    OURS: "python -m lenet.train without inspections and figures",
    FIT: "model.fit with the same learning rates",
}


@dataclass(frozen=True)
class Candidate:
    """The one_cycle schedule with these values."""

    learning_rate: float
    batch_size: int
    epochs: int


FIRST_TRY = Candidate(learning_rate=0.004, batch_size=128, epochs=4)
CHOSEN = Candidate(learning_rate=0.008, batch_size=128, epochs=3)
RATES, BATCH_SIZES, EPOCHS = (0.004, 0.008, 0.012), (128, 256), (2, 3, 4)
HELD_OUT = 1 / 6


def measure(options: Options) -> Answer:
    """Times both programs in turns, once for each seed."""
    folder = options.mnist_folder()
    seeds = SEEDS[: options.rounds_of(len(SEEDS))]
    answers: dict[str, list[Answer]] = {OURS: [], FIT: []}
    time_command([sys.executable, "-c", "import tensorflow"])  # The warm-up.
    for seed in seeds:
        for name, run in ((OURS, _run_ours), (FIT, _run_fit)):
            answer = run(folder, seed)
            answers[name].append(answer)
            print(
                f"{name}, seed {seed}: {100 * answer['test_accuracy']:.2f} % "
                f"in {answer['seconds']:.1f} s",
                flush=True,
            )
    seconds = {name: [answer["seconds"] for answer in own] for name, own in answers.items()}
    setting = (
        f"one_cycle, rate {CHOSEN.learning_rate:g}, batch {CHOSEN.batch_size}, "
        f"{CHOSEN.epochs} epochs"
    )
    missed = [
        f"{name}, seed {seed}: only {100 * answer['test_accuracy']:.2f} %"
        for name, own in answers.items()
        for seed, answer in zip(seeds, own, strict=True)
        if answer["test_accuracy"] < TARGET
    ]
    return {
        "schedule": asdict(CHOSEN),
        "command": _typed(folder),
        "measurements": [
            {"contestant": name, "what": WORDS[name], "setting": setting, "answers": own}
            for name, own in answers.items()
        ],
        "ratios": [compare(f"{FIT} / {OURS}", seconds[FIT], seconds[OURS], setting=setting)],
        "notes": missed,
    }


def _our_arguments() -> list[str]:
    arguments = ["--schedule", "one_cycle", "--learning-rate", f"{CHOSEN.learning_rate:g}"]
    arguments += ["--batch-size", str(CHOSEN.batch_size), "--epochs", str(CHOSEN.epochs)]
    return [*arguments, "--inspect-every", "0", "--no-figures"]


def _typed(folder: Path) -> str:
    return f"python -m lenet.train --data-dir {folder} {' '.join(_our_arguments())}"


def _run_ours(folder: Path, seed: int) -> Answer:
    with tempfile.TemporaryDirectory() as logdir:
        command = [sys.executable, "-m", "lenet.train", "--data-dir", str(folder)]
        command += [*_our_arguments(), "--seed", str(seed), "--logdir", logdir]
        answer = time_command([*command, "--run-name", "target"])
        status = runs.read_status(Path(logdir) / "target")
    return {**answer, "seed": seed, "test_accuracy": status["test_accuracy"]}


def _run_fit(folder: Path, seed: int) -> Answer:
    values = {**asdict(CHOSEN), "seed": seed, "data_dir": str(folder)}
    program = [sys.executable, "-m", "experiments.bench.keras_one_cycle"]
    answer = time_command([*program, json.dumps(values)])
    accuracy = json.loads(answer["output"].splitlines()[-1])["test_accuracy"]
    return {**answer, "seed": seed, "test_accuracy": accuracy}


def search(folder: Path) -> None:
    """Prints the validation accuracy of every candidate."""
    from lenet.data.datasets import hold_out, load_dataset
    from lenet.training.runtime import start_tensorflow

    start_tensorflow(lean=True)
    from lenet import TrainConfig, Trainer

    dataset = hold_out(load_dataset("mnist", folder), HELD_OUT)
    print("epochs  batch  rate    validation accuracy, % (one per seed)")
    for epochs, batch_size, rate in itertools.product(EPOCHS, BATCH_SIZES, RATES):
        accuracies = []
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as logdir:
                config = TrainConfig(
                    schedule="one_cycle",
                    learning_rate=rate,
                    batch_size=batch_size,
                    epochs=epochs,
                    inspect_every=0,
                    seed=seed,
                    quiet=True,
                    logdir=Path(logdir),
                )
                history = Trainer(config, dataset).fit()
            accuracies.append(100 * history.test_accuracy)
        each = "  ".join(f"{accuracy:.2f}" for accuracy in accuracies)
        mean = sum(accuracies) / len(accuracies)
        print(f"{epochs:6}{batch_size:7}  {rate:<8g}{mean:.2f} ({each})", flush=True)


if __name__ == "__main__":
    search(Path(sys.argv[1]))
