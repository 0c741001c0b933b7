"""Interrupted and resumed runs end with the same bits: every network with every optimizer."""

from __future__ import annotations

import dataclasses
import functools
import logging
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lenet.config import TrainConfig
from lenet.data.datasets import Dataset, load_dataset
from lenet.recording import checkpoints, runs
from lenet.registry import MODELS, OPTIMIZERS
from lenet.training.progress import Reporter

from . import Trial, _runs
from ._zygote import zygote

FAULT = "A run is interrupted in the middle of an epoch, at its end or one step later, and resumed, perhaps in a different folder or with a different number of threads"
PROMISE = "The weights are those of a run without interruption, bit for bit: for every network and optimizer, with and without dropout and augmentation."
SAMPLE = 1
STEPS_PER_EPOCH = 3
MOMENTS = {"in an epoch": 2, "at its end": STEPS_PER_EPOCH, "one step later": STEPS_PER_EPOCH + 1}
RANDOM = {"conv_dropout": 0.2, "fc_dropout": 0.3, "augment": ("shift", "rotate", "zoom", "flip")}


def trials(folder: Path) -> Iterator[Trial]:
    """Every combination, each at three moments; then threads and folders."""
    for model in MODELS:
        for optimizer in OPTIMIZERS:
            for name, options in (("plain", {}), ("with dropout and augmentation", RANDOM)):
                if model == "mlp":
                    options = {
                        key: value for key, value in options.items() if key != "conv_dropout"
                    }
                for moment, step in MOMENTS.items():
                    config = TrainConfig(model=model, optimizer=optimizer, **options)
                    run = partial(_resumed, folder / "run", config, step)
                    yield Trial(f"{model}, {optimizer}, {name}, {moment}", run)
    for before, after in ((1, 2), (2, 1)):
        run = partial(_other_threads, folder / "logdir", before, after)
        yield Trial(f"{before} threads, then {after}", run, slow=True)


@functools.cache
def _images() -> Dataset:
    return load_dataset(data_dir=_runs.images())


@functools.cache
def _uninterrupted(config: TrainConfig) -> Path:
    """A run with a checkpoint after every step."""
    return _fit(
        dataclasses.replace(
            config,
            logdir=Path(tempfile.mkdtemp(prefix="sweep-run-")),
            epochs=2,
            batch_size=32,
            inspect_every=0,
            checkpoint_every=1,
            keep=100,
        )
    )


def _fit(config: TrainConfig) -> Path:
    from lenet import Trainer

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return Trainer(config, _images(), Reporter(quiet=True)).fit().run


def _resumed(folder: Path, config: TrainConfig, step: int) -> None:
    """Resumes a copy in a different folder, of which everything after a step is lost."""
    expected = _uninterrupted(config)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(expected, folder)
    for later, path in runs.by_step(folder / runs.CHECKPOINTS).items():
        if later > step:
            shutil.rmtree(path)
    _fit(dataclasses.replace(runs.read_config(folder)[0], resume=folder))
    _check_same(folder, expected)


def _check_same(run: Path, expected: Path) -> None:
    one, other = runs.read_status(run), runs.read_status(expected)
    for name in ("state", "step", "weights_sha256", "test_loss", "test_accuracy"):
        assert one[name] == other[name], name
    last = Path(runs.CHECKPOINTS, runs.step_name(2 * STEPS_PER_EPOCH), checkpoints.OPTIMIZER)
    assert (run / last).read_bytes() == (expected / last).read_bytes()
    assert (run / runs.METRICS).read_bytes() == (expected / runs.METRICS).read_bytes()


def _other_threads(logdir: Path, before: int, after: int) -> None:
    run, errors = _runs.fresh(logdir) / _runs.RUN, logdir.with_name("errors.txt")
    start = [*_runs.arguments(logdir), "--threads", str(before), "--max-steps", "4"]
    again = ["--resume", str(run), "--quiet", "--threads", str(after), "--max-steps", "6"]
    for words in (start, again):
        assert zygote().wait(zygote().start(words, errors)) == 0, errors.read_text()
    # The first process also evaluated the network where it ended, so metrics.csv has one row more.
    status = runs.read_status(run)
    assert (status["state"], status["step"]) == ("done", _runs.LAST_STEP)
    assert status["weights_sha256"] == _runs.weights_sha256()
