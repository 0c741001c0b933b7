"""`python -m lenet.train`: trains one network on real images, and shows how it learned."""

from __future__ import annotations

import itertools
import math
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lenet import cli, diagnosis, files, registry
from lenet.config import TrainConfig
from lenet.diagnosis import Finding
from lenet.reading import UnusableFileError
from lenet.recording import inspections, metrics, runs

if TYPE_CHECKING:  # Imported when they are first needed, so that `--help` appears quickly.
    from lenet.data.datasets import Dataset
    from lenet.training.progress import Reporter
    from lenet.training.trainer import History, Trainer

DESCRIPTION = (
    "Trains a small network on real images and records for TensorBoard how it learns: loss, "
    "accuracy, histograms, images of the kernels. Saves checkpoints, from which --resume continues."
)
DIVERGED = 3
SIGNAL_BASE = 128
# With fewer test images, the program suggests this larger fraction.
FEW_TEST_IMAGES, LARGER_TEST_FRACTION = 100, 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Returns:
        The exit code: 0 done, 3 diverged, 130 or 143 interrupted.

    Raises:
        SystemExit: after a user error (exit code 2) or `--help` (0).
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    cli.replace_unprintable()
    try:
        defaults = _defaults(arguments)
        config = cli.parse_config(arguments, "python -m lenet.train", DESCRIPTION, defaults)
        if config.resume is None:
            files.check_folder(config.logdir, "runs", "choose a different folder with --logdir")
        from lenet.training.progress import make_reporter

        dataset = _images(config)
        reporter = make_reporter(config.quiet)
        if dataset.note:
            reporter.warn(f"Note: {dataset.note}")
        trainer = _build(config, dataset, reporter)
    except KeyboardInterrupt:
        print("Interrupted before training began. Nothing was saved.", file=sys.stderr)
        return SIGNAL_BASE + signal.SIGINT
    except (ValueError, OSError) as error:
        cli.fail(error)
    try:
        history = trainer.fit()
        _report(trainer, history)
    except KeyboardInterrupt:  # While it trains, the trainer catches the signal.
        return _interrupted(trainer)
    except (runs.RunError, UnusableFileError, BrokenPipeError) as error:
        cli.fail(error)
    except OSError as error:
        cli.fail(f"{cli.describe(error).removesuffix('.')}. {_way_on(trainer)}")
    except Exception as error:
        cli.crash(error, trainer.history.run if trainer.has_started else None)
    if history.state == "interrupted":
        return SIGNAL_BASE + history.signal
    return DIVERGED if history.state == "diverged" else 0


def _images(config: TrainConfig) -> Dataset:
    """Loads the images. An error names the run to resume, because its options may be the cause."""
    from lenet.data.datasets import load_dataset_for

    try:
        return load_dataset_for(config)
    except ValueError as error:
        if config.resume is None:
            raise
        raise ValueError(f"The images of {config.resume} cannot be loaded: {error}") from error


def _defaults(arguments: Sequence[str]) -> TrainConfig:
    """The saved options of the run to resume or to imitate; without one, the usual defaults."""
    resume, like = _value(arguments, "--resume"), _value(arguments, "--like")
    if resume and like:
        raise ValueError("Expected either --resume or --like, not both.")
    if resume:
        return runs.read_config(Path(resume))[0]
    return runs.options_like(Path(like)) if like else TrainConfig()


def _value(arguments: Sequence[str], option: str) -> str:
    """The last value of an option, or ""."""
    value = ""
    for argument, following in itertools.pairwise([*arguments, ""]):
        if argument == option:
            value = following
        elif argument.startswith(f"{option}="):
            value = argument.removeprefix(f"{option}=")
    return value


def _build(config: TrainConfig, dataset: Dataset, reporter: Reporter) -> Trainer:
    """Starts TensorFlow and creates the trainer. First prints that loading takes time."""
    from lenet.training.runtime import start_tensorflow

    reporter.line(f"{dataset.name}: {dataset.in_words}. Loading TensorFlow …")
    start_tensorflow(config.threads, config.deterministic, config.device, lean=True)
    from lenet.training.trainer import Trainer

    trainer = Trainer(config, dataset, reporter)
    chosen = trainer.config
    reporter.line(
        f"{chosen.model}, {chosen.activation}, {chosen.optimizer} at rate {chosen.learning_rate:g}"
        f", batch {chosen.batch_size}, {chosen.epochs} epoch{'' if chosen.epochs == 1 else 's'}, "
        f"seed {chosen.seed}: {trainer.model.num_parameters:,} trainable parameters"
    )
    if trainer.dataset.validation is not None:
        reporter.line(
            f"{len(trainer.dataset.validation):,} of the {trainer.dataset.training_images:,} training "
            "images are used for validation instead."
        )
    return trainer


def _way_on(trainer: Trainer) -> str:
    """What the user can do after an error of the disk."""
    if not trainer.has_started:
        return "Choose a different folder with --logdir."
    run = trainer.history.run
    if not (run / runs.CONFIG).is_file():
        return "This run cannot be continued. Start a new one."
    return f"Then continue: {_resume_command(run)}"


def _interrupted(trainer: Trainer) -> int:
    """Says what Ctrl-C before or after the training means for the run. Returns the exit code."""
    if trainer.has_started and trainer.history.state != "running":
        from lenet.gallery.writing import drawing_command

        print(
            "Interrupted. The run itself is complete. To draw its figures: "
            f"{drawing_command(trainer.history.run)}",
            file=sys.stderr,
        )
    else:
        print("Interrupted before training began. Nothing was saved.", file=sys.stderr)
    return SIGNAL_BASE + signal.SIGINT


def _resume_command(run: Path) -> str:
    return f"{cli.python_command()} -m lenet.train --resume {shlex.quote(str(run))}"


def _report(trainer: Trainer, history: History) -> None:
    """Prints the result, how to look at it, and what to try if something went wrong."""
    if history.state == "interrupted":
        print(f"Interrupted at step {history.step:,}; a checkpoint is saved. To continue:")
        print(f"  {_resume_command(history.run)}")
    print(f"Run folder     {history.run}")
    record = _record(trainer, history)
    if math.isfinite(record.last_train_accuracy):
        # Measured with dropout, so it can be lower than the test accuracy.
        accuracy = f"{100 * record.last_train_accuracy:.2f} %"
        epoch = trainer.schedule.epoch_of(record.end)
        which = record.which_epoch if history.best_step is None else f"epoch {epoch}"
        print(f"Train accuracy {accuracy}, mean over the batches of {which}")
    if history.evaluations and history.state != "diverged":  # It was measured earlier.
        print(f"Test accuracy  {_test_accuracy(trainer, history)}{_more_test_images(trainer)}")
    print(f"Weights        sha256 {history.weights_sha256}")
    if history.state == "done" and trainer.config.figures:
        print(f"Figures        {_draw(trainer, history.run)}")
    print(f"See it all     {cli.tensorboard_command(history.run)}")
    if runs.has_siblings(history.run):
        print(f"Compare runs   {cli.tensorboard_command(history.run.parent)}")
    if history.step < trainer.schedule.steps_per_epoch and history.state != "diverged":
        return
    findings = diagnosis.diagnose(record)
    for line in _announced(findings, trainer.config, trainer.dataset.training_images):
        print(line)


def _announced(findings: Sequence[Finding], config: TrainConfig, images: int) -> list[str]:
    """The lines about what went wrong, each with the first advice. No line is there twice."""
    lines: dict[str, None] = {}
    for finding in findings:
        if finding.wrong and diagnosis.RULES[finding.rule].announced:
            lines[finding.sentence] = None
            for reason in finding.evidence[:1]:
                lines[f"Why: {reason.sentence}"] = None
            for tip in finding.advice[:1]:
                lines[f"{tip.words}: {cli.training_command(config, tip.changes, images)}"] = None
    return list(lines)


def _test_accuracy(trainer: Trainer, history: History) -> str:
    """The test accuracy with its loss, its interval if it has few images, and how old it is."""
    name, images = trainer.dataset.name, len(trainer.dataset.test)
    measured, kept = history.last_evaluation[0], history.best_step or history.step
    interval = diagnosis.interval_in_words(history.test_accuracy, images)
    text = f"{100 * history.test_accuracy:.2f} % on {name}{interval}, loss {history.test_loss:.4f}"
    if measured == kept:
        return text
    return f"{text}, after step {measured:,}. The weights are newer: step {kept:,}"


def _more_test_images(trainer: Trainer) -> str:
    """How to get a more certain test accuracy, if the program itself chose few test images."""
    fraction = trainer.config.test_fraction or registry.FOLDER_TEST_FRACTION
    few = trainer.dataset.test_is_fraction and len(trainer.dataset.test) < FEW_TEST_IMAGES
    if not few or fraction >= LARGER_TEST_FRACTION:
        return ""
    return (
        f"\n               to test on more images, with a narrower interval: "
        f"--test-fraction {LARGER_TEST_FRACTION:g}"
    )


def _record(trainer: Trainer, history: History) -> diagnosis.Record:
    """What the run recorded, in the form that a diagnosis needs."""
    steps, losses, accuracies = np.reshape(history.evaluations, (-1, 3)).T
    batches = _batches(history)
    return diagnosis.Record(
        state=history.state,
        step=history.step,
        num_classes=len(trainer.dataset.class_names),
        steps_per_epoch=trainer.schedule.steps_per_epoch,
        last_batch=trainer.schedule.last_batch,
        train_images=trainer.dataset.training_images,
        test_images=len(trainer.dataset.test),
        train_loss=(batches[0], batches[1]),
        train_accuracy=(batches[0], batches[2]),
        test_loss=(steps, losses),
        test_accuracy=(steps, accuracies),
        best_step=history.best_step,
        diagnostics=inspections.read_diagnostics(history.run / runs.INSPECTIONS, [])[0],
        **diagnosis.options_of(trainer.config),
    )


def _batches(history: History) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The steps, losses and accuracies of the training batches, with those of earlier sessions."""
    first = int(history.steps[0]) if len(history.steps) else history.step + 1
    rows = [] if first == 1 else metrics.read(history.run / runs.METRICS)[0]
    earlier = [(row[0], *row[3:]) for row in rows if row[2] == "train" and row[0] < first]
    steps, losses, accuracies = np.reshape(earlier, (-1, 3)).T
    return (
        np.concatenate([steps.astype(int), history.steps]),
        np.concatenate([losses, history.losses]),
        np.concatenate([accuracies, history.accuracies]),
    )


def _draw(trainer: Trainer, run: Path) -> str:
    """Draws the quick groups of figures. Returns the page or, if drawing failed, the reason."""
    from lenet.gallery import groups, writing
    from lenet.gallery.run_data import RunData

    data = RunData(trainer.trained(run), trainer.dataset)
    quick = [group for group in groups.groups_of(data.feature_layer) if group.quick]
    rest = writing.drawing_command(run)
    try:
        page = writing.write(
            data, run / runs.FIGURES, quick, hint=f"To draw everything: {rest}"
        ).page
    except OSError as error:
        return f"not drawn: {cli.describe(error)}"
    return f"{page}\n               to draw all: {rest}"


if __name__ == "__main__":
    cli.run(main)
