"""The outer loop: plain Python that asks what is due next, trains up to it, and acts."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from lenet.analysis.trained import TrainedRun, predict
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset
from lenet.data.sampling import choose_probe, epoch_order, evaluation_indices
from lenet.networks.architectures import build_model
from lenet.networks.optimizers import build_optimizer
from lenet.recording import checkpoints, events, inspections, projector, runs
from lenet.recording.summaries import Summaries
from lenet.training.interrupts import StopRequest, stop_on_signals
from lenet.training.progress import Reporter
from lenet.training.runtime import describe_environment
from lenet.training.schedule import Schedule, learning_rates, logged_steps
from lenet.training.steps import compile_steps

# A signal is seen only between compiled calls, so none may take much longer than this.
SECONDS_PER_CALL = 0.3
PROFILED_STEPS = 10

State = Literal["running", "done", "interrupted", "diverged", "failed"]


@dataclass
class History:
    """What came of a training.

    Attributes:
        run: the run's folder.
        state: "done", "interrupted" or "diverged".
        step: updates made in all.
        steps, losses, accuracies: one entry per step of this session, [n]; the loss is in nats,
            the accuracy from 0 to 1, both of the batch just before its update.
        evaluations: (step, loss, accuracy) over the whole test set, in order.
        weights_sha256: of the weights at the end.
        seconds: of training in all, evaluation and logging included.
        images_per_second: over the training calls of this session alone.
        signal: the number of the signal that interrupted it, or 0.
    """

    run: Path
    state: State = "running"
    step: int = 0
    steps: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    losses: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    accuracies: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)
    weights_sha256: str = ""
    seconds: float = 0.0
    images_per_second: float = 0.0
    signal: int = 0

    def add(self, steps: np.ndarray, losses: np.ndarray, accuracies: np.ndarray) -> None:
        """Appends the steps of one compiled call; all arrays are [n]."""
        self.step = int(steps[-1])
        self.steps = np.concatenate([self.steps, steps])
        self.losses = np.concatenate([self.losses, losses])
        self.accuracies = np.concatenate([self.accuracies, accuracies])

    @property
    def test_loss(self) -> float:
        """The last evaluation's loss, in nats; NaN where there was none."""
        return self.evaluations[-1][1] if self.evaluations else float("nan")

    @property
    def test_accuracy(self) -> float:
        """The last evaluation's accuracy, from 0 to 1; NaN where there was none."""
        return self.evaluations[-1][2] if self.evaluations else float("nan")


@dataclass
class _EpochSums:
    """What the line at an epoch's end is made of; kept in checkpoints, since runs stop mid-epoch."""

    loss: float = 0.0
    hits: float = 0.0
    images: int = 0
    seconds: float = 0.0

    def add(
        self, losses: np.ndarray, accuracies: np.ndarray, sizes: np.ndarray, seconds: float
    ) -> None:
        self.loss += float(losses @ sizes)
        self.hits += float(accuracies @ sizes)
        self.images += int(sizes.sum())
        self.seconds += seconds


class Trainer:
    """Trains one network on one data set and records it in a run folder.

        from lenet import TrainConfig, Trainer, load_dataset
        dataset = load_dataset("digits")
        trainer = Trainer(TrainConfig(activation="sigmoid", epochs=5), dataset)
        history = trainer.fit()
        print(history.test_accuracy, history.run)

    After `fit`, `trainer.model` holds the trained network. With `resume` set in the config,
    `fit` goes on with that run from its newest whole checkpoint, to the same bits as if it
    had never stopped.

    Args:
        config: the options; defaults of the model and the data set are put in here.
        dataset: the images.
        reporter: where progress goes; default: lines on standard output.

    Raises:
        FileNotFoundError: `resume` is no run.
        ValueError: the images do not fit the network, or `resume` is a run with other options
            or other images.
    """

    def __init__(
        self, config: TrainConfig, dataset: Dataset, reporter: Reporter | None = None
    ) -> None:
        self.config = config = config.resolved(dataset.name)
        self.dataset = dataset
        self.reporter = reporter or Reporter(config.quiet)
        if config.resume is not None:
            _check_same_run(config, dataset, config.resume)
        assert config.epochs and config.batch_size and config.learning_rate
        self.schedule = Schedule(
            size=len(dataset.train),
            batch_size=config.batch_size,
            epochs=config.epochs,
            max_steps=config.max_steps,
            inspect_every=config.inspect_every,
            eval_every=config.eval_every,
            checkpoint_every=config.checkpoint_every,
        )
        self.peak_rate = config.learning_rate
        self.model = build_model(
            config, dataset.image_shape, len(dataset.class_names), dataset.mean
        )
        self.optimizer = build_optimizer(config.optimizer, self.peak_rate)
        self.probe = choose_probe(dataset.train, dataset.test)
        self.steps = compile_steps(
            self.model,
            self.optimizer,
            dataset.train,
            dataset.test,
            self.probe,
            config.batch_size,
            config.towers,
            config.augment,
            config.seed,
        )

    def fit(self, stop: StopRequest | None = None) -> History:
        """Trains to the end, or until a signal or a loss that is not finite stops it.

        SIGINT and SIGTERM (in the main thread) save a checkpoint at the next step boundary; a
        second one ends the process at once. Call it once; to go on, make a Trainer with `resume`.

        Args:
            stop: where the caller asks for such a stop; signals are then the caller's to catch.

        Returns:
            What came of it; its `state` says how it ended.

        Raises:
            RunError: the run's folder is taken or locked, or no checkpoint to resume from is
                whole.
            OSError: the run's folder cannot be written; older checkpoints are untouched.
        """
        run = self.config.resume
        if run is None:
            default = runs.default_name(self.config, self.dataset.name, datetime.now())
            run = runs.create(self.config.logdir, self.config.run_name, default)
        asked = stop_on_signals() if stop is None else contextlib.nullcontext(stop)
        with runs.locked(run), asked as stop:
            self._begin(run)
            try:
                self._finish(self._train(stop), stop)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._write_status("failed")
                raise
            finally:
                self.reporter.stop()
                self.summaries.close()
        return self.history

    def trained(self, run: Path) -> TrainedRun:
        """The network as it is now, as reading the run back would give it."""
        return TrainedRun(
            run,
            self.config,
            self.dataset.name,
            self.dataset.class_names,
            self.dataset.image_shape,
            self.dataset.sha256,
            self.step,
            self.model,
        )

    def _begin(self, run: Path) -> None:
        """Restores or starts the run and says so in its folder."""
        self.history = History(run)
        self.started = time.perf_counter()
        self.earlier_seconds = 0.0
        self.epoch_sums = _EpochSums()
        self.order: tf.Tensor | None = None
        self.kernels_before: dict[str, np.ndarray] | None = None
        self.steps_per_call = 1
        self.call_seconds, self.call_images = 0.0, 0
        checkpoint = checkpoints.newest_valid(run / runs.CHECKPOINTS)
        if checkpoint is not None:
            checkpoints.restore(checkpoint, self.model, self.optimizer)
            for skipped in checkpoint.skipped:
                self.reporter.warn(f"Skipped a damaged checkpoint: {skipped}")
            self.history.step = checkpoint.step
            self.earlier_seconds = checkpoint.state["seconds"]
            self.epoch_sums = _EpochSums(**checkpoint.state["epoch_sums"])
            self.history.evaluations = [tuple(e) for e in checkpoint.state["evaluations"]]
        if self.config.resume is not None:
            # What belongs to step 0 is written again with it.
            kept = self.step or -1
            runs.cut_metrics_after(run, kept)
            inspections.cut_after(run / runs.INSPECTIONS, kept)
            for split in ("train", "test"):
                events.cut_after(run / split, kept)
            self.reporter.line(f"Going on with {run} after step {self.step:,}")
        dataset = {
            "name": self.dataset.name,
            "sha256": self.dataset.sha256,
            "train": len(self.dataset.train),
            "test": len(self.dataset.test),
            "image_shape": list(self.dataset.image_shape),
            "class_names": list(self.dataset.class_names),
            "mean": self.dataset.mean,
        }
        runs.write_config(run, self.config, dataset, describe_environment())
        self.summaries = Summaries(run)
        self._write_status("running")
        self.reporter.start(self.step, self.schedule.last_step)

    @property
    def step(self) -> int:
        """Updates made."""
        return self.history.step

    def _train(self, stop: StopRequest) -> State:
        """The outer loop."""
        schedule = self.schedule
        if self.step == 0:
            self.summaries.write_config(self.config.to_json())
            self.summaries.write_layout(list(self.model.weight_layers))
            self.summaries.write_inputs(
                self.dataset.train, self.dataset.test, self.dataset.class_names
            )
            self._look()
        graph_due = self.step == 0
        profile_at = schedule.last_step // 2 if self.config.profile else schedule.last_step
        while self.step < schedule.last_step:
            if stop.signal:
                self._save()
                return "interrupted"
            count = min(schedule.next_boundary(self.step) - self.step, self.steps_per_call)
            if schedule.inspection_due(self.step + 1):
                self.kernels_before = inspections.kernels(self.model)
            with contextlib.ExitStack() as profiled:
                if self.step >= profile_at:
                    profiled.enter_context(
                        tf.profiler.experimental.Profile(str(self.history.run / "train"))
                    )
                    count, profile_at = min(count, PROFILED_STEPS), schedule.last_step
                if not self._train_call(count):
                    return "diverged"
            if graph_due:
                self.summaries.write_graph(self.steps.one_step_graph())
                graph_due = False
            if not self._look():
                return "diverged"
            if schedule.is_epoch_end(self.step):
                self._report_epoch()
                if self.step == schedule.steps_per_epoch:
                    self._project()
            if schedule.checkpoint_due(self.step):
                self._save()
        self._project()
        return "done"

    def _train_call(self, count: int) -> bool:
        """Makes `count` updates within one epoch; returns False where the loss is not finite."""
        first, schedule = self.step, self.schedule
        epoch, batch = schedule.position(first)
        if batch == 0 or self.order is None:
            self.order = tf.constant(epoch_order(self.config.seed, epoch, schedule.size))
        rates = learning_rates(
            self.config.schedule,
            self.peak_rate,
            first,
            count,
            schedule.total_steps,
            self.config.warmup_steps,
        )
        started = time.perf_counter()
        losses, accuracies = (
            result.numpy()
            for result in self.steps.train(self.order, tf.constant(batch), tf.constant(rates))
        )
        seconds = time.perf_counter() - started
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            kept = bad[0] + 1
            losses, accuracies, rates = losses[:kept], accuracies[:kept], rates[:kept]
        steps = first + 1 + np.arange(len(losses))
        sizes = schedule.batch_sizes(first, len(losses))
        self.history.add(steps, losses, accuracies)
        self.epoch_sums.add(losses, accuracies, sizes, seconds)
        speed = float(sizes.sum() / seconds)
        if len(self.history.steps) > count:  # The first call compiles: it says nothing of speed.
            self.call_seconds += seconds
            self.call_images += int(sizes.sum())
            self.steps_per_call = max(1, int(count * SECONDS_PER_CALL / seconds))
            self.summaries.write_speed(self.step, speed)
        logged = logged_steps(steps, self.config.log_every, schedule.last_step)
        logged |= ~np.isfinite(losses)
        columns = (steps[logged], losses[logged], accuracies[logged], rates[logged])
        self.summaries.write_train_steps(*columns)
        runs.append_metrics(
            self.history.run,
            [
                (int(step), epoch + 1, "train", float(loss), float(accuracy))
                for step, loss, accuracy, _ in zip(*columns, strict=True)
            ],
        )
        self.reporter.update(self.step, float(losses[-1]), float(accuracies[-1]), speed)
        if bad.size:
            self._report_divergence("training", losses[-1])
        return not bad.size

    def _look(self) -> bool:
        """Evaluates and inspects where due; returns False where the test loss is not finite."""
        if self.schedule.evaluation_due(self.step):
            chosen = self._evaluated_images()
            loss, accuracy = (float(mean) for mean in self.steps.evaluate(tf.constant(chosen)))
            self.history.evaluations.append((self.step, loss, accuracy))
            self.summaries.write_evaluation(self.step, loss, accuracy)
            epoch = self.schedule.epoch_of(self.step)
            runs.append_metrics(self.history.run, [(self.step, epoch, "test", loss, accuracy)])
            if not np.isfinite(loss):
                self._report_divergence("test", loss)
                return False
        if self.schedule.inspection_due(self.step):
            found = inspections.inspect(
                self.step, self.model, self.steps, self.probe, self.kernels_before
            )
            self.summaries.write_inspection(found)
            inspections.save(self.history.run / runs.INSPECTIONS, found)
        return True

    def _evaluated_images(self) -> np.ndarray:
        """All test images or, between epochs and where asked for, a random few."""
        size, few = len(self.dataset.test), self.config.eval_size
        schedule, step = self.schedule, self.step
        whole = step in (0, schedule.last_step) or schedule.is_epoch_end(step)
        if whole or not few:
            return np.arange(size, dtype=np.int32)
        return evaluation_indices(self.config.seed, step, size, few)

    def _project(self) -> None:
        """Writes the points of TensorBoard's projector.

        After one epoch, so that there is something to see while training runs, and at the end.
        """
        images = self.dataset.test.images[: projector.NUM_POINTS]
        labels = self.dataset.test.labels[: projector.NUM_POINTS]
        logits, features = predict(self.model, images)
        projector.write(
            self.history.run / "test",
            self.model.feature_layer,
            features,
            images,
            labels,
            logits.argmax(1),
            self.dataset.class_names,
        )

    def _save(self) -> None:
        checkpoints.save(
            self.history.run / runs.CHECKPOINTS,
            self.step,
            self.model,
            self.optimizer,
            {
                "epoch_sums": asdict(self.epoch_sums),
                "evaluations": self.history.evaluations,
                "seconds": self._seconds(),
            },
            self.config.keep,
        )
        self._write_status("running")

    def _finish(self, state: State, stop: StopRequest) -> None:
        self.history.state = state
        self.history.signal = stop.signal
        self.history.seconds = self._seconds()
        self.history.weights_sha256 = checkpoints.weights_sha256(self.model)
        if self.call_seconds:
            self.history.images_per_second = self.call_images / self.call_seconds
        self.summaries.flush()
        self._write_status(state)

    def _write_status(self, state: State) -> None:
        runs.write_status(
            self.history.run,
            {
                "state": state,
                "step": self.step,
                "epoch": self.schedule.epoch_of(self.step),
                "test_loss": self.history.test_loss,
                "test_accuracy": self.history.test_accuracy,
                "seconds": round(self._seconds(), 3),
                "images_per_second": round(self.call_images / max(self.call_seconds, 1e-9), 1),
                "weights_sha256": self.history.weights_sha256 or None,
            },
        )

    def _seconds(self) -> float:
        return self.earlier_seconds + time.perf_counter() - self.started

    def _report_epoch(self) -> None:
        sums, self.epoch_sums = self.epoch_sums, _EpochSums()
        self.reporter.line(
            f"Epoch {self.schedule.epoch_of(self.step)}/{self.schedule.epochs}"
            f"  loss {sums.loss / sums.images:.4f}"
            f"  accuracy {100 * sums.hits / sums.images:.2f} %"
            f"  test loss {self.history.test_loss:.4f}"
            f"  test accuracy {100 * self.history.test_accuracy:.2f} %"
            f"  {sums.seconds:.1f} s"
        )

    def _report_divergence(self, split: str, loss: float) -> None:
        self.reporter.warn(
            f"Stopped at step {self.step:,}: the {split} loss is {loss}. Weights from here on are "
            f"worthless; try a smaller rate, e.g. --learning-rate {self.peak_rate / 10:g}."
        )


def _check_same_run(config: TrainConfig, dataset: Dataset, run: Path) -> None:
    """Refuses to resume a run with other options or other images."""
    saved, saved_dataset = runs.read_config(run)
    runs.check_resumable(saved, config)
    if saved_dataset["sha256"] != dataset.sha256:
        raise ValueError(
            f"{run} was trained on other images ({saved_dataset['name']}, sha256 "
            f"{saved_dataset['sha256'][:12]}…) than these ({dataset.name}, sha256 "
            f"{dataset.sha256[:12]}…): name its own with --data-dir."
        )
