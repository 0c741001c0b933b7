"""The part `growth`: speed, memory and event files over epochs, images and batch sizes.

All measurements are of `lenet` with all logging. Speed and memory should stay constant, and event
files should grow linearly with the steps.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from experiments.bench import contestants as names
from experiments.bench.contestants import command
from experiments.bench.options import Options
from experiments.bench.rounds import Answer, in_turns, time_command
from experiments.bench.settings import Settings
from lenet.training.schedule import Schedule

BATCH_SIZE = 128
EPOCHS, QUICK_EPOCHS = 20, 4
SHOWN_EPOCHS = (1, 5, 20)
SIZES, QUICK_SIZES = (6_000, 60_000, 600_000), (600, 6_000)
BATCH_SIZES, QUICK_BATCH_SIZES = (32, 128, 512, 2048), (32, 512)
STEPS, QUICK_STEPS = 1_000, 100
IMAGES_PER_BATCH_SIZE, QUICK_IMAGES_PER_BATCH_SIZE = 120_000, 12_000


def measure(options: Options) -> Answer:
    """Measures one training over many epochs, and short trainings of several sizes."""
    quick = options.quick
    epochs = _over_epochs(options, QUICK_EPOCHS if quick else EPOCHS)
    steps = QUICK_STEPS if quick else STEPS
    sizes = [
        _train_briefly(options.settings(images=size, batch_size=BATCH_SIZE), steps)
        for size in (QUICK_SIZES if quick else SIZES)
    ]
    images = QUICK_IMAGES_PER_BATCH_SIZE if quick else IMAGES_PER_BATCH_SIZE
    batches = [
        _train_briefly(options.settings(batch_size=size), max(2, images // size))
        for size in (QUICK_BATCH_SIZES if quick else BATCH_SIZES)
    ]
    shown = [epoch for epoch in SHOWN_EPOCHS if epoch <= len(epochs)]
    memory = [point["memory_mb"] for point in epochs[1:]]
    return {
        "epochs": epochs,
        "sizes": sizes,
        "batches": batches,
        "measurements": [],
        "ratios": [],
        "notes": [
            *(_line(f"epoch {epoch}", epochs[epoch - 1]) for epoch in shown),
            f"memory from epoch 2 to {len(epochs)}: {min(memory):,.0f} to {max(memory):,.0f} MB",
            *(_line(f"{point['images']:,} training images", point) for point in sizes),
            *(_line(f"batch {point['batch_size']:,}", point) for point in batches),
            f"event files: {epochs[-1]['event_bytes_per_1000_steps'] / 1e6:.2f} MB per 1,000 steps",
        ],
    }


def _over_epochs(options: Options, epochs: int) -> list[Answer]:
    """The speed, memory and size of event files of one training after each epoch."""
    settings = options.settings(batch_size=BATCH_SIZE, turns=epochs)
    answers, _ = in_turns({names.LOGGED: command(names.LOGGED, settings)}, epochs - 1)
    points, before, steps_before = [], 0, 0
    for epoch, answer in enumerate(answers[names.LOGGED], start=1):
        steps = Schedule(answer["images"], BATCH_SIZE, epoch).total_steps
        points.append(
            {
                "epoch": epoch,
                "step": steps,
                "images_per_second": answer["images"] / answer["train_seconds"],
                "memory_mb": answer["memory_mb"],
                "peak_mb": answer["peak_mb"],
                "event_bytes": answer["event_bytes"],
                "event_bytes_per_1000_steps": (
                    1000 * (answer["event_bytes"] - before) / (steps - steps_before)
                ),
            }
        )
        before, steps_before = answer["event_bytes"], steps
    return points


def _train_briefly(settings: Settings, steps: int) -> Answer:
    """Runs one short training in a separate process."""
    program = [sys.executable, "-m", "experiments.bench.growth", settings.to_json(), str(steps)]
    answer = time_command(program)
    return {**json.loads(answer["output"].splitlines()[-1]), "peak_mb": answer["peak_mb"]}


def train(settings: Settings, steps: int) -> None:
    """Trains for some steps with all logging and prints the speed as JSON.

    The speed does not include the first compiled call, in which TensorFlow compiles.
    """
    from lenet.training.runtime import start_tensorflow

    start_tensorflow(lean=True)
    from lenet import Trainer

    dataset = settings.dataset()
    per_epoch = Schedule(len(dataset.train), settings.batch_size, 1).steps_per_epoch
    with tempfile.TemporaryDirectory() as logdir:
        config = dataclasses.replace(
            settings.config(),
            epochs=-(-steps // per_epoch),
            max_steps=steps,
            logdir=Path(logdir),
            quiet=True,
        )
        history = Trainer(config, dataset).fit()
    print(
        json.dumps(
            {
                "images": len(dataset.train),
                "batch_size": settings.batch_size,
                "steps": steps,
                "images_per_second": history.images_per_second,
            }
        )
    )


def _line(what: str, point: Answer) -> str:
    memory = point.get("memory_mb", point["peak_mb"])
    return f"{what}: {point['images_per_second']:,.0f} images/s, {memory:,.0f} MB"


if __name__ == "__main__":
    train(Settings.from_json(sys.argv[1]), int(sys.argv[2]))
