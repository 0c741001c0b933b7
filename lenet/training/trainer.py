"""The outer loop in plain Python: trains up to the next step at which something is due."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import tensorflow as tf

from lenet.analysis.trained import TrainedRun, predict
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset, with_validation
from lenet.data.sampling import choose_probe, epoch_order, evaluation_indices
from lenet.networks.architectures import build_model
from lenet.networks.optimizers import build_optimizer
from lenet.recording import checkpoints, runs
from lenet.recording.projector import NUM_POINTS
from lenet.recording.recorder import Recorder
from lenet.training import devices, early_stopping, resuming
from lenet.training.history import Diverged, EpochSums, History, Pace, State
from lenet.training.inspector import ProbeInspector
from lenet.training.interrupts import StopRequest, stop_on_signals
from lenet.training.learning_rates import learning_rates
from lenet.training.notebook import NotebookReporter, in_notebook
from lenet.training.progress import Reporter
from lenet.training.runtime import configure_tensorflow, describe_environment
from lenet.training.schedule import Schedule, logged_steps
from lenet.training.steps import Steps

PROFILED_STEPS = 10


class Trainer:
    """Trains one network on one data set and records it in a run folder.

        from lenet import TrainConfig, Trainer, load_dataset
        dataset = load_dataset("digits")
        trainer = Trainer(TrainConfig(activation="relu", epochs=5), dataset)
        history = trainer.fit()
        print(history.test_accuracy, history.run)

    After `fit`, `trainer.model` is the trained network. If `resume` is set in the config, `fit`
    continues that run from its newest valid checkpoint. The final weights are then exactly the
    same as without an interruption.

    Args:
        config: the options; the defaults of the model and the data set are filled in here.
        dataset: the images.
        reporter: shows the progress; default: a bar and curves in a notebook, and lines elsewhere.

    Raises:
        FileNotFoundError: `resume` is not a run.
        ValueError: the images do not fit the network, `resume` is a run with different options
            or different images, or the computer has no such GPU.
    """

    def __init__(
        self, config: TrainConfig, dataset: Dataset, reporter: Reporter | None = None
    ) -> None:
        device = devices.concrete(config.device)
        self.config = config = replace(config, device=device).resolved(len(dataset.train))
        assert config.validation_fraction is not None
        self.dataset = dataset = with_validation(dataset, config.validation_fraction)
        live = in_notebook() and not config.quiet
        self.reporter = reporter or (NotebookReporter() if live else Reporter(config.quiet))
        if config.resume is not None:
            resuming.check_same_run(config, dataset, config.resume)
        self._device, note = configure_tensorflow(config.threads, config.deterministic, device)
        if note:
            self.reporter.warn(f"Note: {note}")
        assert config.epochs and config.batch_size and config.learning_rate and config.towers
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
        with tf.device(self._device):  # Also in `fit`: a GPU, if that is the device.
            self.model = build_model(
                config, dataset.image_shape, len(dataset.class_names), dataset.mean
            )
            self.optimizer = build_optimizer(
                config.optimizer, self.peak_rate, config.weight_decay, config.clip_norm
            )
            self.steps = Steps(
                self.model,
                self.optimizer,
                dataset.train,
                dataset.test,
                batch_size=config.batch_size,
                towers=config.towers,
                augmentations=config.augment,
                seed=config.seed,
                validation=dataset.validation,
            )
            self.inspector = ProbeInspector(self.model, choose_probe(dataset.train, dataset.test))
        self._history: History | None = None
        self._epoch_sums, self._pace = EpochSums(), Pace()
        self._order = (-1, tf.zeros(0, tf.int32))
        self._profile_due = config.profile
        self._started = 0.0

    def fit(self, stop: StopRequest | None = None) -> History:
        """Trains to the end, or until a signal or a loss that is not finite stops the training.

        After SIGINT or SIGTERM (in the main thread), training stops at the next step boundary
        with a checkpoint. A second signal ends the process immediately.

        Args:
            stop: the caller's request to stop; if given, signals are not caught here.

        Returns:
            The result. Its `state` is the way in which training ended.

        Raises:
            RuntimeError: this Trainer has trained before.
            RunError: the run's folder exists already or is locked, or no checkpoint to resume from
                is valid.
            OSError: the run's folder cannot be written; older checkpoints are untouched.
        """
        if self._history is not None:
            raise RuntimeError(
                "This Trainer has already trained. To train again from the start, create a new "
                "Trainer. To continue the run, create one whose config has "
                f"resume={str(self.history.run)!r}."
            )
        run = self.config.resume
        if run is None:
            default = runs.default_name(self.config, self.dataset.name, datetime.now())
            run = runs.create(self.config.logdir, self.config.run_name, default)
        asked = stop_on_signals() if stop is None else contextlib.nullcontext(stop)
        with runs.locked(run), asked as stop, tf.device(self._device):
            self._history = History(run)
            self._started = time.perf_counter()
            if self.config.resume is not None:
                self._restore(run)
            try:
                environment = describe_environment(self.config.device)
                network = self.model.description(self.dataset.image_shape)
                runs.write_config(run, self.config, self.dataset.description, environment, network)
                with Recorder(run) as recorder:
                    self._fit(recorder, stop)
            except BaseException:
                if (run / runs.CONFIG).exists():  # Otherwise this is no longer the run's folder.
                    with contextlib.suppress(OSError):
                        self._write_status("failed")
                raise
        return self.history

    @property
    def history(self) -> History:
        """The result of `fit`.

        Raises:
            RuntimeError: `fit` has not been called yet.
        """
        if self._history is None:
            raise RuntimeError("There is no history before `fit`.")
        return self._history

    @property
    def has_started(self) -> bool:
        """Whether there is a history, and therefore the folder of a run."""
        return self._history is not None

    @property
    def step(self) -> int:
        """Number of updates so far."""
        return self.history.step

    def trained(self, run: Path | str) -> TrainedRun:
        """The current network, as if it were read from the run's folder."""
        return TrainedRun(
            Path(run),
            self.config,
            self.dataset.name,
            self.dataset.class_names,
            self.dataset.image_shape,
            self.dataset.sha256,
            self.step,
            self.model,
        )

    def _fit(self, recorder: Recorder, stop: StopRequest) -> None:
        """Trains, and records how training ended."""
        history = self.history
        self._write_status("running")
        self.reporter.start(self.step, self.schedule.last_step)
        try:
            history.state = self._train(recorder, stop)
            history.signal = stop.signal
            history.seconds = self._seconds()
            history.weights_sha256 = checkpoints.weights_sha256(self.model)
            history.images_per_second = self._pace.images_per_second
            recorder.flush()
            self._write_status(history.state)
        finally:
            self.reporter.stop()

    def _train(self, recorder: Recorder, stop: StopRequest) -> State:
        """Runs the outer loop; returns how training ended."""
        schedule = self.schedule
        try:
            if not self.history.evaluations:  # The first one is at step 0.
                layers = list(self.model.weight_layers)
                recorder.beginning(self.config.to_json(), layers, self.dataset)
                self._look(recorder)
            while self.step < schedule.last_step and not self._is_over():
                if stop.signal:
                    self._save(recorder)
                    return "interrupted"
                starting = self.step == 0
                self._train_towards(schedule.next_boundary(self.step), recorder)
                if starting:  # Not earlier, because tracing would delay the first step.
                    recorder.graph(self.steps.one_step_graph())
                self._look(recorder)
                if schedule.is_epoch_end(self.step):
                    self._end_epoch(recorder)
                if schedule.checkpoint_due(self.step):
                    self._save(recorder)
            self._keep_best(recorder)
            self._project(recorder)
        except Diverged as divergence:
            self.reporter.warn(
                f"Stopped at step {self.step:,}: {divergence}. The weights are no longer usable."
            )
            return "diverged"
        return "done"

    def _train_towards(self, boundary: int, recorder: Recorder) -> None:
        """Runs one compiled call that ends at a step boundary or before it."""
        count = min(boundary - self.step, self._pace.steps_per_call)
        if self.schedule.inspection_due(self.step + 1):
            self.inspector.before_update()
        if self._profile_due and self.step >= self.schedule.last_step // 2:
            self._profile_due = False
            with tf.profiler.experimental.Profile(str(recorder.run / "train")):
                self._train_call(min(count, PROFILED_STEPS), recorder)
        else:
            self._train_call(count, recorder)

    def _train_call(self, count: int, recorder: Recorder) -> None:
        """Performs `count` updates within one epoch and records them."""
        before, schedule, config = self.step, self.schedule, self.config
        epoch, batch = schedule.position(before)
        rates = learning_rates(
            config.schedule,
            self.peak_rate,
            before,
            count,
            schedule.total_steps,
            config.warmup_steps,
        )
        order = self._order_of(epoch)
        started = time.perf_counter()
        losses, accuracies = self.steps.train(order, first=batch, rates=rates)
        seconds = time.perf_counter() - started

        # After a loss that is not finite, the following losses have no meaning.
        finite = np.isfinite(losses)
        count = count if finite.all() else int(finite.argmin()) + 1
        losses, accuracies, rates = losses[:count], accuracies[:count], rates[:count]
        steps = before + 1 + np.arange(count)
        sizes = schedule.batch_sizes(before, count)
        images = int(sizes.sum())
        self.history.add(steps, losses, accuracies)
        self._epoch_sums.add(losses, accuracies, sizes, seconds)
        if self._pace.add(count, images, seconds):
            recorder.speed(self.step, images / seconds)
        logged = logged_steps(steps, config.log_every, schedule.last_step) | ~finite[:count]
        recorder.training(
            epoch=epoch + 1,
            steps=steps[logged],
            losses=losses[logged],
            accuracies=accuracies[logged],
            rates=rates[logged],
        )
        self.reporter.update(self.step, float(losses[-1]), float(accuracies[-1]), images / seconds)
        if not finite.all():
            raise Diverged(f"the training loss is {losses[-1]}")

    def _order_of(self, epoch: int) -> tf.Tensor:
        """The order of the training images in an epoch (from 0), computed once per epoch."""
        if self._order[0] != epoch:
            order = epoch_order(self.config.seed, epoch, self.schedule.size)
            self._order = (epoch, tf.constant(order))
        return self._order[1]

    def _look(self, recorder: Recorder) -> None:
        """Evaluates and inspects the network if this is due."""
        step, schedule = self.step, self.schedule
        if schedule.evaluation_due(step):
            loss, accuracy, logits = self.steps.evaluate(self._evaluated_images())
            self.history.evaluations.append((step, loss, accuracy))
            recorder.evaluation(
                epoch=schedule.epoch_of(step), step=step, loss=loss, accuracy=accuracy
            )
            if not np.isfinite(loss):
                raise Diverged(f"the test loss is {loss}")
            if step == schedule.last_step:
                recorder.predictions(step, logits, self.dataset.test)
            if self.dataset.validation is not None:
                self._validate(recorder)
        if schedule.inspection_due(step):
            recorder.inspection(self.inspector.inspect(step))

    def _validate(self, recorder: Recorder) -> None:
        """Evaluates the network on all validation images."""
        step, indices = self.step, np.arange(len(self.dataset.validation or ()), dtype=np.int32)
        loss, accuracy, _ = self.steps.evaluate(indices, "validation")
        self.history.validation.append((step, loss, accuracy))
        epoch = self.schedule.epoch_of(step)
        recorder.evaluation(
            epoch=epoch, step=step, loss=loss, accuracy=accuracy, split="validation"
        )

    def _best_step(self) -> int | None:
        """The step whose weights early stopping keeps; None without early stopping."""
        if not self.config.early_stopping:
            return None
        return early_stopping.best_step(self.history.validation, self.schedule)

    def _is_over(self) -> bool:
        """Whether early stopping ends the training here."""
        patience = self.config.early_stopping
        return early_stopping.is_over(self.history.validation, self.schedule, patience, self.step)

    def _keep_best(self, recorder: Recorder) -> None:
        """With early stopping, restores the weights with the lowest validation loss."""
        best, schedule = self._best_step(), self.schedule
        if best is None:
            return
        if best != self.step:
            checkpoint = checkpoints.best_or_newest(recorder.run / runs.CHECKPOINTS)
            if checkpoint is None or checkpoint.step != best:
                self.reporter.warn(
                    f"The checkpoint of step {best:,} is missing or damaged, so the last weights "
                    "are kept instead of those with the lowest validation loss."
                )
                return
            checkpoints.restore(checkpoint, self.model)
        self.history.best_step = best
        if best != schedule.last_step:
            logits = self.steps.evaluate(np.arange(len(self.dataset.test), dtype=np.int32))[2]
            recorder.predictions(best, logits, self.dataset.test)
        if schedule.inspect_every and not schedule.inspection_due(best):
            recorder.inspection(self.inspector.inspect(best, after_update=best == self.step))
        stopped = self.step < schedule.last_step
        self.reporter.line(
            f"{'Stopped early' if stopped else 'Ended'} {schedule.in_words(self.step)}. "
            f"The weights {schedule.in_words(best)} are kept, because their validation "
            f"loss is the lowest ({self.history.validation_loss:.4f})."
        )

    def _evaluated_images(self) -> np.ndarray:
        """The indices of all test images or, between epochs with `eval_size`, of a random few.

        Returns:
            int32 [n].
        """
        size, few = len(self.dataset.test), self.config.eval_size
        if not few or self.schedule.is_whole_evaluation(self.step):
            return np.arange(size, dtype=np.int32)
        return evaluation_indices(self.config.seed, self.step, size, few)

    def _end_epoch(self, recorder: Recorder) -> None:
        """Reports an epoch. After the first epoch, the projector's points are recorded too."""
        sums, self._epoch_sums = self._epoch_sums, EpochSums()
        validation = ""
        if self.history.validation:
            validation = f"  validation loss {self.history.validation_loss:.4f}"
        self.reporter.line(
            f"Epoch {self.schedule.epoch_of(self.step)}/{self.schedule.epochs}  {sums}"
            f"  test loss {self.history.test_loss:.4f}"
            f"  test accuracy {100 * self.history.test_accuracy:.2f} %"
            f"{validation}  {sums.seconds:.1f} s"
        )
        self.reporter.epoch(self.history, len(self.dataset.class_names))
        if self.step == self.schedule.steps_per_epoch:
            self._project(recorder)

    def _project(self, recorder: Recorder) -> None:
        """Records the points of TensorBoard's projector."""
        logits, features = predict(self.model, self.dataset.test.images[:NUM_POINTS])
        recorder.projection(self.model.feature_layer, features, logits.argmax(1), self.dataset)

    def _save(self, recorder: Recorder) -> None:
        """Saves a checkpoint, after everything recorded up to its step is on the disk."""
        recorder.sync()
        if not all(np.isfinite(weight).all() for weight in self.model.weights):
            raise Diverged("some weights are not finite")
        checkpoints.save(
            recorder.run / runs.CHECKPOINTS,
            self.step,
            self.model,
            self.optimizer,
            {
                "epoch_sums": asdict(self._epoch_sums),
                "evaluations": self.history.evaluations,
                "validation": self.history.validation,
                "seconds": self._seconds(),
            },
            self.config.keep,
            self._best_step(),
        )
        self._write_status("running")

    def _restore(self, run: Path) -> None:
        """Continues from the newest valid checkpoint."""
        checkpoint = resuming.restore(
            run, self.model, self.optimizer, self.schedule.epoch_of, self.reporter.warn
        )
        if checkpoint is not None:
            self.history.step = checkpoint.step
            self.history.evaluations = checkpoint.evaluations()
            self._started -= checkpoint.state["seconds"]
            self._epoch_sums = EpochSums(**checkpoint.state["epoch_sums"])
            self.history.validation = checkpoint.evaluations("validation")
        if self.step < self.schedule.last_step and not self._is_over():
            self.reporter.line(f"Resuming {run} after step {self.step:,}")
            return
        longer = self._longer()
        way_on = f" To train longer: --resume {run} {longer}" if longer else ""
        self.reporter.line(f"This run is already done.{way_on}")

    def _longer(self) -> str:
        """The option with which a finished run continues, or ""."""
        if self._is_over():
            return "--early-stopping N"
        if self.schedule.last_step < self.schedule.total_steps:
            return "--max-steps N"
        return "--epochs N" if self.config.schedule == "constant" else ""

    def _write_status(self, state: State) -> None:
        # The last evaluation of a diverged run was at an earlier step.
        unknown = state == "diverged"
        status = {
            "state": state,
            "step": self.step,
            "epoch": self.schedule.epoch_of(self.step),
            "test_loss": None if unknown else self.history.test_loss,
            "test_accuracy": None if unknown else self.history.test_accuracy,
            **self._validated(),
            "seconds": round(self._seconds(), 3),
            "images_per_second": round(self._pace.images_per_second, 1),
            "weights_sha256": self.history.weights_sha256 or None,
        }
        runs.write_status(self.history.run, status)

    def _validated(self) -> dict[str, float | int | None]:
        """What the status says about validation; nothing without validation images."""
        if self.dataset.validation is None:
            return {}
        return {
            "validation_loss": self.history.validation_loss,
            "validation_accuracy": self.history.validation_accuracy,
            "best_step": self.history.best_step,
        }

    def _seconds(self) -> float:
        """Seconds of training so far, including earlier sessions."""
        return time.perf_counter() - self._started
