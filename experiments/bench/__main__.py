"""`python -m experiments.bench`: how fast `lenet` trains, compared with Keras's `model.fit`.

Each contestant is a process that lives for the whole measurement. It trains on the same images,
one epoch each time it gets a line; the first epoch is a warm-up and does not count. The contestants
take turns, so that a machine whose speed drifts slows all of them alike: compare the ratios, not
the seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.bench import grid as bench_grid
from lenet.recording import runs

if TYPE_CHECKING:
    from lenet import TrainConfig
    from lenet.data.datasets import Dataset

NEVER = 10**9
ROUNDS = 5
CONTESTANTS = {
    "model.fit": "Keras model.fit on float32 arrays, TensorFlow's own thread settings",
    "bare": "lenet without logging: no training points, no inspections",
    "scalars": "lenet with the scalars of every step, no inspections",
    "full": "lenet with all logging at its defaults",
}
# Steps between training points, and between inspections.
LOGGING = {"bare": (NEVER, 0), "scalars": (1, 0), "full": (1, 200)}


def main() -> int:
    """Runs the benchmark, or one contestant of it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description=__doc__)
    parser.add_argument(
        "--data-dir", type=Path, help="images to train on (default: as in lenet.train)"
    )
    parser.add_argument(
        "--rounds", type=int, help=f"number of epochs that count (default: {ROUNDS})"
    )
    parser.add_argument(
        "--batch-size", type=int, default=128, help="images per update (default: 128)"
    )
    parser.add_argument("--model", default="lenet", help="the network (default: lenet)")
    parser.add_argument("--image-size", type=int, help="for a folder of photos, in pixels")
    parser.add_argument(
        "--grid", action="store_true", help="time a grid of eight runs instead (default: 1 round)"
    )
    parser.add_argument(
        "--epochs", type=int, default=2, help="epochs of each run of --grid (default: 2)"
    )
    parser.add_argument("--logdir", help=argparse.SUPPRESS)
    parser.add_argument("--contestant", choices=[*CONTESTANTS, "grid"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.grid:
        options.rounds = options.rounds or ROUNDS
    if options.contestant == "grid":
        bench_grid.fit_with_keras(options)
    elif options.grid:
        rounds = options.rounds or 1
        bench_grid.measure(options.data_dir, rounds, options.epochs, options.batch_size)
    elif options.contestant:
        _compete(options)
    else:
        _measure(options)
    return 0


def _measure(options: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "experiments.bench", "--batch-size", str(options.batch_size)]
    command += ["--rounds", str(options.rounds)]
    network = ["--model", options.model]
    network += ["--data-dir", str(options.data_dir)] if options.data_dir else []
    network += ["--image-size", str(options.image_size)] if options.image_size else []
    command += network
    print("Measuring the time from process start to the first optimizer step …", flush=True)
    first = [_seconds_to_first_step(network) for _ in range(3)]
    print(f"Warming up, then {options.rounds} rounds of one epoch each …", flush=True)
    processes = {
        name: subprocess.Popen(
            [*command, "--contestant", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in CONTESTANTS
    }
    training: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    complete: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for round_number in range(options.rounds + 1):
        for name, process in processes.items():
            train_seconds, all_seconds = map(float, _ask(process).split())
            if round_number > 0:
                training[name].append(train_seconds)
                complete[name].append(all_seconds)
    num_images, *peaks = (_ask(process) for process in processes.values())
    images = int(num_images.split()[0])
    print(
        f"{_environment()}, {options.model}, batch {options.batch_size}, "
        f"{images:,} images per epoch\n"
    )
    print(f"{'contestant':12}{'images/s':>10}{'epoch, s':>10}{'peak, MB':>10}")
    for name, report in zip(CONTESTANTS, [num_images, *peaks], strict=True):
        speed = images / statistics.median(training[name])
        epoch = statistics.median(complete[name])
        print(f"{name:12}{speed:10,.0f}{epoch:10.2f}{float(report.split()[1]):10,.0f}")
    print("\nratios, round by round: median (minimum to maximum)")
    _print_ratio("speed, bare / model.fit, only training", training["model.fit"], training["bare"])
    _print_ratio("time, full / bare, complete epochs", complete["full"], complete["bare"])
    _print_ratio("time, full / scalars, complete epochs", complete["full"], complete["scalars"])
    print(
        f"first step after {statistics.median(first):.1f} s ({min(first):.1f} to {max(first):.1f})"
    )


def _ask(process: subprocess.Popen[str]) -> str:
    assert process.stdin and process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit(f"A contestant ended early: {process.args!r}")
    return answer


def _print_ratio(name: str, above: list[float], below: list[float]) -> None:
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    print(f"{name:42}{statistics.median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def _environment() -> str:
    import importlib.metadata as metadata

    from lenet.training.runtime import cpu_model

    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras"))
    return f"{cpu_model()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}"


def _seconds_to_first_step(network: list[str]) -> float:
    """Starts `lenet.train` for one step and waits for that step's row in metrics.csv."""
    with tempfile.TemporaryDirectory() as logdir:
        command = [sys.executable, "-m", "lenet.train", "--max-steps", "1", "--quiet"]
        command += ["--logdir", logdir, "--run-name", "first", *network]
        metrics = Path(logdir) / "first" / runs.METRICS
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                if metrics.exists() and ",train," in metrics.read_text():
                    return time.perf_counter() - started
                time.sleep(0.01)
        raise SystemExit("lenet.train ended before its first step")


class _Gate:
    """Lets one epoch begin for each line on standard input, and prints how long it took."""

    def __init__(self, epochs: int, num_images: int) -> None:
        self._left, self._num_images = epochs, num_images
        sys.stdin.readline()
        self._started = self.trained = time.perf_counter()

    def epoch_over(self) -> None:
        """Prints the seconds to the epoch's last update, which ended at `trained`, and to its end."""
        print(self.trained - self._started, time.perf_counter() - self._started, flush=True)
        self._left -= 1
        sys.stdin.readline()
        if not self._left:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(self._num_images, peak, flush=True)
        self._started = time.perf_counter()


def _compete(options: argparse.Namespace) -> None:
    from lenet.config import TrainConfig
    from lenet.data.datasets import load_dataset_for

    config = TrainConfig(
        model=options.model,
        data_dir=options.data_dir,
        image_size=options.image_size,
        epochs=options.rounds + 1,
        batch_size=options.batch_size,
    )
    dataset = load_dataset_for(config)
    if options.contestant == "model.fit":
        _compete_as_keras(config.resolved(dataset.name), dataset)
    else:
        _compete_as_lenet(config, dataset, *LOGGING[options.contestant])


def _compete_as_keras(config: TrainConfig, dataset: Dataset) -> None:
    from lenet.training.runtime import quiet_stderr

    with quiet_stderr():
        import keras
    from lenet.networks.architectures import build_model

    # The same network as a functional model with one output, as is usual for model.fit.
    network = build_model(config, dataset.image_shape, len(dataset.class_names))
    inputs = outputs = keras.Input(dataset.image_shape)
    for layer in network.stacked:
        outputs = layer(outputs)
        outputs = network.act[layer.name](outputs) if layer.name in network.act else outputs
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    assert config.epochs and config.batch_size
    gate = _Gate(config.epochs, len(dataset.train))

    class Turns(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            gate.trained = time.perf_counter()
            gate.epoch_over()

    model.fit(
        dataset.train.images.astype("float32") / 255,
        dataset.train.labels,
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=0,  # pyright: ignore[reportArgumentType]
        callbacks=[Turns()],
    )


def _compete_as_lenet(
    config: TrainConfig, dataset: Dataset, log_every: int, inspect_every: int
) -> None:
    from lenet.training.runtime import start_tensorflow

    start_tensorflow(lean=True)
    from lenet import Trainer
    from lenet.training.progress import Reporter
    from lenet.training.schedule import Schedule

    assert config.epochs and config.batch_size
    gate = _Gate(config.epochs, len(dataset.train))
    steps_per_epoch = Schedule(len(dataset.train), config.batch_size, config.epochs).steps_per_epoch

    class Turns(Reporter):
        step = 0

        def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
            self.step, gate.trained = step, time.perf_counter()

        def line(self, text: str) -> None:
            # The only line between an epoch's last update and the next epoch is the epoch's own,
            # printed after its evaluation.
            if self.step and self.step % steps_per_epoch == 0:
                gate.epoch_over()

    with tempfile.TemporaryDirectory() as logdir:
        chosen = dataclasses.replace(
            config, log_every=log_every, inspect_every=inspect_every, logdir=Path(logdir)
        )
        Trainer(chosen, dataset, Turns()).fit()


if __name__ == "__main__":
    sys.exit(main())
