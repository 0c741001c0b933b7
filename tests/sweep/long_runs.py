"""Long runs: many epochs while TensorBoard reads, and many runs in one process."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil

from lenet.recording import runs
from lenet.training.progress import Reporter

from . import Trial

FAULT = (
    "A run has 500 epochs with everything recorded, while TensorBoard reads it; or one worker of a "
    "grid trains 200 runs"
)
PROMISE = (
    "After the tenth epoch or run, memory grows by less than 30 MB, and no more files are open. "
    "Every epoch adds the same number of bytes to the folder. The weights are those of a run that "
    "nobody reads."
)
SAMPLE = 1
EPOCHS, RUNS, SHORT = 500, 200, 12
SETTLED = 10  # Epochs, or runs of a worker.
MEGABYTES = 30
# A share of the predicted bytes. The images of an inspection are compressed, so their sizes vary.
TOLERANCE = 0.1
ROOT = Path(__file__).resolve().parents[2]
Usage = list[dict[str, float]]


def trials(folder: Path) -> Iterator[Trial]:
    """One short run in this process's default tests, and the long ones."""
    yield Trial(f"{SHORT} epochs", partial(_epochs, folder, SHORT))
    yield Trial(f"{EPOCHS} epochs", partial(_epochs, folder, EPOCHS), slow=True)
    yield Trial(f"{RUNS} runs in one worker", partial(_runs_of_one_worker, folder), slow=True)


def _epochs(folder: Path, epochs: int) -> None:
    """Trains twice: with TensorBoard as a reader, and alone."""
    hashes = []
    for name, reader in (("read", _tensorboard), ("alone", contextlib.nullcontext)):
        logdir = folder / name
        with reader(logdir):
            usage = _child("epochs", logdir, epochs)
        assert len(usage) == epochs
        _check_flat(usage)
        sizes = [point["bytes"] for point in usage]
        per_epoch = sizes[SETTLED] - sizes[SETTLED - 1]
        predicted = sizes[SETTLED] + per_epoch * (epochs - 1 - SETTLED)
        assert abs(sizes[-1] / predicted - 1) < TOLERANCE, f"{sizes[-1]} bytes, not {predicted}"
        [run] = logdir.iterdir()
        hashes.append(runs.read_status(run)["weights_sha256"])
        shutil.rmtree(logdir)
    assert hashes[0] == hashes[1]


def _runs_of_one_worker(folder: Path) -> None:
    usage = _child("runs", folder / "grid", RUNS)
    assert len(usage) == RUNS
    _check_flat(usage)
    shutil.rmtree(folder / "grid")


def _check_flat(usage: Usage) -> None:
    settled = usage[SETTLED - 1 :]
    for what, limit in (("megabytes", MEGABYTES), ("files", 0)):
        values = [point[what] for point in settled]
        # The last values, and not the largest: memory that is returned later is not lost.
        grown = min(values[-SETTLED:]) - min(values[:SETTLED])
        assert grown <= limit, f"{grown:.1f} more {what} after {len(usage)}"


@contextlib.contextmanager
def _tensorboard(logdir: Path) -> Iterator[None]:
    words = ["--logdir", str(logdir), "--port", "0", "--reload_interval", "1"]
    command = [sys.executable, "-m", "tensorboard.main", *words, "--load_fast", "false"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None, "TensorBoard has ended"
    finally:
        process.kill()
        process.wait()


def _child(what: str, logdir: Path, count: int) -> Usage:
    """Trains in a process of its own, which has nothing else in its memory."""
    command = [sys.executable, "-m", "tests.sweep.long_runs", what, str(logdir), str(count)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def _print_usage(folder: Path | None = None) -> None:
    process = psutil.Process()
    usage = {"megabytes": process.memory_info().rss / 1e6, "files": process.num_fds()}
    if folder is not None:
        usage["bytes"] = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    print(json.dumps(usage), flush=True)


def train_epochs(logdir: Path, count: int) -> None:
    """Trains one run on the digits, with an inspection in every epoch."""
    from lenet.training.runtime import start_tensorflow

    start_tensorflow()
    from lenet import TrainConfig, Trainer, load_dataset

    class Watched(Reporter):
        def epoch(self, history: object, num_classes: int) -> None:
            _print_usage(logdir)

    config = TrainConfig(
        dataset="digits", epochs=count, inspect_every=25, figures=False, logdir=logdir
    )
    Trainer(config, load_dataset("digits"), Watched(quiet=True)).fit()


def train_runs(logdir: Path, count: int) -> None:
    """Trains runs one after another, as a worker of a grid does."""
    from experiments.grid.jobs import Job
    from experiments.grid.run_one import train_one
    from lenet import TrainConfig, load_dataset

    sha256 = load_dataset("digits").sha256
    for seed in range(count):
        config = TrainConfig(
            dataset="digits", max_steps=25, seed=seed, logdir=logdir, run_name=f"run{seed}"
        )
        outcome = train_one(Job(config, sha256))
        assert outcome.state == "done", outcome
        _print_usage()


if __name__ == "__main__":
    trained: dict[str, Callable[[Path, int], None]] = {"epochs": train_epochs, "runs": train_runs}
    trained[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
