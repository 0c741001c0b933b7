"""The part `start`: how fast `lenet.train` starts, and how much memory it needs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from experiments.bench.options import Options
from experiments.bench.rounds import Answer, ContestantError, spread, time_command
from lenet.recording import runs

ROUNDS = 5
TRAIN = [sys.executable, "-m", "lenet.train"]
FIRST_STEP, HELP, IMPORT = "first step", "--help", "import tensorflow"
SECONDS_BETWEEN_LOOKS = 0.01


def measure(options: Options) -> Answer:
    """Measures the seconds to `--help`, to import TensorFlow and to the first step, and memory."""
    network = ["--model", options.model, *options.data_arguments()]
    network += ["--image-size", str(options.image_size)] if options.image_size else []
    ways: dict[str, Callable[[], float]] = {
        HELP: lambda: time_command([*TRAIN, "--help"])["seconds"],
        IMPORT: lambda: time_command([sys.executable, "-c", "import tensorflow"])["seconds"],
        FIRST_STEP: lambda: _seconds_to_first_step(network),
    }
    for way in ways.values():
        way()  # The warm-up. After it, the libraries are in the memory of the system.
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds_of(ROUNDS)):
        for name, way in ways.items():
            seconds[name].append(way())
    with tempfile.TemporaryDirectory() as logdir:
        command = [*TRAIN, "--epochs", "2", "--no-figures", "--logdir", logdir, *network]
        command += ["--max-steps", "100"] if options.quick else []
        peak = time_command(command)["peak_mb"]
    return {
        "measurements": [
            {"contestant": name, "unit": "s", "values": values, **spread(values)}
            for name, values in seconds.items()
        ]
        + [
            {
                "contestant": "peak memory, 2 epochs",
                "unit": "MB",
                "values": [peak],
                **spread([peak]),
            }
        ],
        "ratios": [],
        "notes": [],
    }


def _seconds_to_first_step(network: list[str]) -> float:
    """Starts `lenet.train` for one step and waits for that step's row in metrics.csv."""
    with tempfile.TemporaryDirectory() as logdir:
        command = [*TRAIN, "--max-steps", "1", "--quiet", "--no-figures"]
        command += ["--logdir", logdir, "--run-name", "first", *network]
        metrics = Path(logdir) / "first" / runs.METRICS
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                if metrics.exists() and ",train," in metrics.read_text():
                    seconds = time.perf_counter() - started
                    process.wait()  # Two programs in parallel would slow each other down.
                    return seconds
                time.sleep(SECONDS_BETWEEN_LOOKS)
        raise ContestantError("lenet.train ended before its first step")
