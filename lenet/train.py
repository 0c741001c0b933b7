"""`python -m lenet.train`: trains one activation and optimizer on real images, and shows it."""

from __future__ import annotations

import math
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenet import cli, diagnosis
from lenet.config import TrainConfig
from lenet.recording import runs

if TYPE_CHECKING:  # Imported where they are first needed, so that `--help` answers in a blink.
    from lenet.data.datasets import Dataset
    from lenet.training.progress import Reporter
    from lenet.training.trainer import History, Trainer

DESCRIPTION = (
    "Trains a LeNet on real images and records it for TensorBoard: losses, accuracies, "
    "histograms and pictures of the kernels, checkpoints to resume from."
)
DIVERGED = 3
SIGNAL_BASE = 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Returns:
        0 done, 3 diverged, 130 or 143 interrupted; a user's mistake ends it with 2.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        config = cli.parse_config(words, "python -m lenet.train", DESCRIPTION, _defaults(words))
        from lenet.data.datasets import load_dataset_for
        from lenet.training.progress import make_reporter

        dataset = load_dataset_for(config)
        reporter = make_reporter(config.quiet)
        if dataset.note:
            reporter.warn(f"Note: {dataset.note}")
        trainer = _build(config, dataset, reporter)
    except KeyboardInterrupt:
        print("Interrupted before training began: nothing was saved.", file=sys.stderr)
        return SIGNAL_BASE + signal.SIGINT
    except (ValueError, OSError) as error:
        cli.fail(error)
    try:
        history = trainer.fit()
    except (runs.RunError, OSError) as error:
        cli.fail(error)
    _report(trainer, history)
    if history.state == "interrupted":
        return SIGNAL_BASE + history.signal
    return DIVERGED if history.state == "diverged" else 0


def _defaults(words: Sequence[str]) -> TrainConfig:
    """The saved options of the run to resume, if there is one, or else the stated defaults."""
    resume = None
    for place, word in enumerate(words):
        if word == "--resume" and place + 1 < len(words):
            resume = Path(words[place + 1])
        elif word.startswith("--resume="):
            resume = Path(word.removeprefix("--resume="))
    return TrainConfig() if resume is None else runs.read_config(resume)[0]


def _build(config: TrainConfig, dataset: Dataset, reporter: Reporter) -> Trainer:
    """Starts TensorFlow and makes the trainer, telling the user what takes so long."""
    from lenet.training.runtime import start_tensorflow

    reporter.line(
        f"{dataset.name}: {len(dataset.train):,} training and {len(dataset.test):,} test images, "
        f"{len(dataset.class_names)} classes. Loading TensorFlow …"
    )
    start_tensorflow(config.threads, config.deterministic, lean=True)
    from lenet.training.trainer import Trainer

    trainer = Trainer(config, dataset, reporter)
    chosen = trainer.config
    reporter.line(
        f"{chosen.model}, {chosen.activation}, {chosen.optimizer} at rate {chosen.learning_rate:g}"
        f", batch {chosen.batch_size}, {chosen.epochs} epochs, seed {chosen.seed}: "
        f"{trainer.model.count_params():,} parameters"
    )
    return trainer


def _report(trainer: Trainer, history: History) -> None:
    """Prints the outcome, and where to see it all."""
    if history.state == "interrupted":
        print(f"Interrupted at step {history.step:,}; a checkpoint is saved. To go on:")
        print(f"  {cli.python_command()} -m lenet.train --resume {shlex.quote(str(history.run))}")
    print(f"Run folder     {history.run}")
    record = _record(trainer, history)
    if math.isfinite(record.last_train_accuracy):
        # With dropout it is that of the thinned network, and so may lie below the test's.
        accuracy = f"{100 * record.last_train_accuracy:.2f} %"
        print(f"Train accuracy {accuracy}, mean over the batches of the last epoch")
    if history.evaluations:
        print(
            f"Test accuracy  {100 * history.test_accuracy:.2f} % on {trainer.dataset.name} "
            f"(loss {history.test_loss:.4f})"
        )
    print(f"Weights        sha256 {history.weights_sha256}")
    if history.state == "done" and trainer.config.figures:
        print(f"Figures        {_draw(trainer, history.run)}")
    print(f"See it all     {cli.tensorboard_command(history.run)}")
    classes = len(trainer.dataset.class_names)
    if history.step < trainer.schedule.steps_per_epoch:
        return
    found = {finding.rule: finding for finding in diagnosis.diagnose(record)}
    if "not begun" in found:
        print(diagnosis.not_begun_sentence(history.test_loss, history.test_accuracy, classes))
        if (record.activation, record.optimizer) == ("relu", "adam"):
            finding = found["not begun"]
            print(f"{finding.advice}: {_command(trainer, finding.changes)}")
        else:
            learns = {"optimizer": "adam"} if record.optimizer != "adam" else {"activation": "relu"}
            print(f"One that does learn: {_command(trainer, learns)}")
    if finding := found.get("thrown off") or found.get("overfitting"):
        print(f"{finding.sentence[0].upper()}{finding.sentence[1:]}")
        print(f"{finding.advice}: {_command(trainer, finding.changes)}")


def _record(trainer: Trainer, history: History) -> diagnosis.Record:
    """What this session recorded, as the rules of `diagnosis` look at it."""
    steps, losses, accuracies = np.reshape(history.evaluations, (-1, 3)).T
    return diagnosis.Record(
        state=history.state,
        step=history.step,
        num_classes=len(trainer.dataset.class_names),
        steps_per_epoch=trainer.schedule.steps_per_epoch,
        train_loss=(history.steps, history.losses),
        train_accuracy=(history.steps, history.accuracies),
        test_loss=(steps, losses),
        test_accuracy=(steps, accuracies),
        **diagnosis.options_of(trainer.config),
    )


def _draw(trainer: Trainer, run: Path) -> str:
    """Draws the quick part of the figures; returns the page or, where that failed, why."""
    from lenet import visualize
    from lenet.gallery.groups import Gallery

    gallery = Gallery(trainer.trained(run), trainer.dataset)
    rest = visualize.command(run)
    try:
        page = visualize.write(
            gallery, run / runs.FIGURES, gallery.quick, hint=f"To draw everything: {rest}"
        )
    except OSError as error:
        return f"not drawn: {cli.describe(error)}"
    except KeyboardInterrupt:
        return f"not drawn, interrupted; the run itself is complete. To draw: {rest}"
    return f"{page}\n               everything: {rest}"


def _command(trainer: Trainer, changes: Mapping[str, Any]) -> str:
    """The same training with other options, at the rate that is usual with them."""
    if {"activation", "optimizer"} & set(changes):
        changes = {"learning_rate": None, "fc2_activation": None, **changes}
    return cli.training_command(trainer.config, changes, trainer.dataset.name)


if __name__ == "__main__":
    sys.exit(main())
