"""Validation images, early stopping, clipped gradients and weight decay."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from experiments.report.grouping import combine
from experiments.report.page import write_report
from experiments.report.reading import read_run
from lenet import train
from lenet.analysis.trained import load_run
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset, load_dataset, with_validation
from lenet.gallery import learning, writing
from lenet.gallery.run_data import RunData
from lenet.networks.optimizers import build_optimizer
from lenet.recording import checkpoints, events, runs
from lenet.training import early_stopping
from lenet.training.interrupts import StopRequest
from lenet.training.progress import Reporter
from lenet.training.schedule import Schedule
from lenet.training.trainer import Trainer

# The learning rate is so high that the validation loss rises after a few epochs.
OVERFITTING: dict[str, Any] = {
    "batch_size": 32,
    "epochs": 12,
    "learning_rate": 0.02,
    "early_stopping": 2,
    "inspect_every": 0,
    "figures": False,
    "quiet": True,
}


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    return digits


def fit(dataset: Dataset, logdir: Path, **options: Any) -> Trainer:
    trainer = Trainer(TrainConfig(logdir=logdir, **(OVERFITTING | options)), dataset)
    trainer.fit()
    return trainer


@pytest.fixture(scope="module")
def stopped(few: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A run that early stopping has ended."""
    return fit(few, tmp_path_factory.mktemp("early"), run_name="whole")


class TestValidationImages:
    def test_they_are_taken_from_the_training_images_by_their_content(self, few: Dataset) -> None:
        split, again = with_validation(few, 0.2), with_validation(few, 0.2)
        assert split.validation is not None and again.validation is not None
        np.testing.assert_array_equal(split.validation.images, again.validation.images)
        assert 0.15 < len(split.validation) / len(few.train) < 0.25
        assert len(split.train) + len(split.validation) == len(few.train)
        train = {image.tobytes() for image in split.train.images}
        assert not train & {image.tobytes() for image in split.validation.images}
        assert split.sha256 == few.sha256
        np.testing.assert_array_equal(split.test.images, few.test.images)

    def test_without_a_fraction_nothing_changes(self, few: Dataset) -> None:
        assert with_validation(few, 0.0) is few

    def test_the_test_images_decide_nothing(self, stopped: Trainer) -> None:
        losses = {step: loss for step, loss, _ in stopped.history.validation}
        ends = {step: loss for step, loss in losses.items() if step}
        assert stopped.history.best_step == min(ends, key=lambda step: ends[step])


class TestEarlyStopping:
    SCHEDULE = Schedule(size=100, batch_size=10, epochs=20)

    @pytest.mark.parametrize(
        ("losses", "best", "over"),
        [
            ([1.0, 0.9, 0.8], 30, False),
            ([1.0, 0.9, 0.95], 20, False),
            ([1.0, 0.9, 0.95, 0.99], 20, True),
            ([0.5, 0.5, 0.5], 10, True),
            ([], None, False),
        ],
    )
    def test_it_waits_for_as_many_epochs_as_the_patience(
        self, losses: list[float], best: int | None, over: bool
    ) -> None:
        evaluations = [(10 * (n + 1), loss, 0.5) for n, loss in enumerate(losses)]
        assert early_stopping.best_step(evaluations, self.SCHEDULE) == best
        assert early_stopping.is_over(evaluations, self.SCHEDULE, 2, 10 * len(losses)) is over

    def test_the_run_ends_early_with_the_best_weights(self, stopped: Trainer) -> None:
        history, schedule = stopped.history, stopped.schedule
        assert history.state == "done"
        assert history.best_step is not None
        assert history.step - history.best_step == 2 * schedule.steps_per_epoch
        assert history.step < schedule.last_step
        loss, _, _ = stopped.steps.evaluate(
            np.arange(len(stopped.dataset.validation or ()), dtype=np.int32), "validation"
        )
        assert loss == pytest.approx(
            min(low for step, low, _ in history.validation if step), rel=1e-5
        )

    def test_the_checkpoint_of_the_best_weights_is_kept_and_loaded(self, stopped: Trainer) -> None:
        run = stopped.history.run
        best = checkpoints.best_or_newest(run / runs.CHECKPOINTS)
        assert best is not None and best.step == stopped.history.best_step
        loaded = load_run(run)
        assert loaded.step == stopped.history.best_step
        hashed = checkpoints.weights_sha256(loaded.model)
        assert hashed == stopped.history.weights_sha256
        assert runs.read_status(run)["best_step"] == stopped.history.best_step

    def test_the_validation_curves_are_recorded(self, stopped: Trainer) -> None:
        run = stopped.history.run
        found = events.read_scalars(run / "validation")
        steps, _ = found["loss"]
        assert list(steps) == [step for step, _, _ in stopped.history.validation]
        splits = {line.split(",")[2] for line in (run / runs.METRICS).read_text().splitlines()[1:]}
        assert splits == {"train", "test", "validation"}

    def test_the_pages_say_which_weights_are_kept(self, stopped: Trainer) -> None:
        run, history = stopped.history.run, stopped.history
        data = RunData(load_run(run), stopped.dataset)
        [curves] = learning.learning_curves(data)
        assert f"The vertical line is at step {history.best_step:,}" in curves.caption
        steps = writing._facts(data)["trained with"]
        assert f"{history.best_step:,} steps (the best of {history.step:,})" in steps
        read = read_run(run)
        without = replace(read, config=replace(read.config, early_stopping=0))
        labels = [combination.label for combination in combine([read, without])]
        assert labels == ["relu · adam · no early stopping", "relu · adam · early stopping 2"]
        text = write_report(run.parent).read_text()
        assert "weights kept by early stopping</span>" in text

    def test_interrupted_before_the_best_step_and_resumed_it_ends_the_same(
        self, few: Dataset, stopped: Trainer, tmp_path: Path
    ) -> None:
        self.interrupt_and_resume(few, stopped, tmp_path, stopped.history.best_step or 0)

    def test_interrupted_after_the_best_step_and_resumed_it_ends_the_same(
        self, few: Dataset, stopped: Trainer, tmp_path: Path
    ) -> None:
        self.interrupt_and_resume(few, stopped, tmp_path, (stopped.history.best_step or 0) + 30)

    def interrupt_and_resume(self, few: Dataset, stopped: Trainer, logdir: Path, at: int) -> None:
        stop = StopRequest()

        class StopAt(Reporter):
            def update(
                self, step: int, loss: float, accuracy: float, images_per_second: float
            ) -> None:
                if step >= at:
                    stop.signal = 2

        options = OVERFITTING | {"checkpoint_every": 5}
        begun = Trainer(TrainConfig(logdir=logdir, **options), few, StopAt(quiet=True))
        assert begun.fit(stop).state == "interrupted"
        resumed = Trainer(TrainConfig(logdir=logdir, resume=begun.history.run, **options), few)
        history = resumed.fit()
        assert history.best_step == stopped.history.best_step
        assert history.step == stopped.history.step
        assert history.weights_sha256 == stopped.history.weights_sha256


class TestUpdates:
    WEIGHTS = (np.array([3.0, -4.0], np.float32), np.array([[1.0]], np.float32))
    GRADIENTS = (np.array([6.0, 0.0], np.float32), np.array([[8.0]], np.float32))  # Norm 10.

    def updated(self, *arguments: Any, **options: Any) -> list[np.ndarray]:
        optimizer = build_optimizer(*arguments, **options)
        variables = [keras.Variable(value) for value in self.WEIGHTS]
        optimizer.build(variables)
        optimizer.apply([tf.constant(g) for g in self.GRADIENTS], variables)
        return [np.asarray(variable) for variable in variables]

    def test_a_long_gradient_is_scaled_to_the_norm(self) -> None:
        clipped = self.updated("sgd", 0.5, clip_norm=5.0)
        for found, weight, gradient in zip(clipped, self.WEIGHTS, self.GRADIENTS, strict=True):
            np.testing.assert_allclose(found, weight - 0.5 * gradient / 2, rtol=1e-6)
        short, plain = self.updated("sgd", 0.5, clip_norm=10.5), self.updated("sgd", 0.5)
        for one, other in zip(short, plain, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)

    @pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
    def test_weight_decay_subtracts_its_share_beside_the_usual_update(self, optimizer: str) -> None:
        rate, decay = 0.1, 0.02
        plain = self.updated(optimizer, rate)
        decayed = self.updated(optimizer, rate, weight_decay=decay)
        for one, other, weight in zip(decayed, plain, self.WEIGHTS, strict=True):
            np.testing.assert_allclose(one, other - rate * decay * weight, rtol=1e-5)

    def test_adam_with_weight_decay_is_adamw(self) -> None:
        for one, other in zip(
            self.updated("adam", 0.01, weight_decay=0.004), self.updated("adamw", 0.01), strict=True
        ):
            np.testing.assert_array_equal(one, other)


class TestSmallData:
    """46 shapes of three classes: the defaults make enough updates."""

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        from PIL import Image, ImageDraw

        random, root = np.random.default_rng(0), tmp_path_factory.mktemp("shapes")
        kinds: dict[str, Callable[..., Any]] = {
            "disk": ImageDraw.ImageDraw.ellipse,
            "square": ImageDraw.ImageDraw.rectangle,
            "line": ImageDraw.ImageDraw.line,
        }
        for number in range(46):
            name = list(kinds)[number % 3]
            picture = Image.new("L", (28, 28))
            left, top = (int(value) for value in random.integers(2, 10, 2))
            side = int(random.integers(10, 16))
            box = (left, top, left + side, top + side)
            kinds[name](ImageDraw.Draw(picture), box, fill=255, width=2)
            (root / name).mkdir(exist_ok=True)
            picture.save(root / name / f"{number}.png")
        return root

    def test_the_default_command_learns_them(self, folder: Path, tmp_path: Path) -> None:
        dataset = load_dataset("auto", folder)
        trainer = Trainer(
            TrainConfig(logdir=tmp_path, quiet=True, figures=False, inspect_every=0), dataset
        )
        history = trainer.fit()
        last = trainer.schedule.steps_per_epoch
        assert history.step >= 200
        assert np.mean(history.accuracies[-last:]) >= 0.95

    def test_few_test_images_lead_to_the_option_for_more(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = f"--data-dir {folder} --logdir {tmp_path} --max-steps 2 --no-figures"
        for fraction, hinted in ((), True), (("--test-fraction", "0.3"), False):
            assert train.main([*words.split(), *fraction]) == 0
            shown = capsys.readouterr().out
            assert re.search(r"^Test accuracy .* test images: 95 % interval", shown, re.MULTILINE)
            assert ("--test-fraction 0.3" in shown) is hinted
