"""Writes everything for TensorBoard. Only this module writes `tf.summary` events."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message

from lenet import files
from lenet.data.datasets import Split
from lenet.diagnostics import DIAGNOSTICS
from lenet.figures import tiles
from lenet.recording import events
from lenet.recording.encoding import SCALARS, Page, encode_inspection
from lenet.recording.inspections import Inspection

STEP_TAGS = ("loss", "accuracy", "learning_rate")
NUM_INPUTS = 25
FIT_METRIC = (
    "The value that `model.fit` reported after the epoch: in `train` for the training data, in `test` "
    "for the validation data."
)
FIT_METRICS = {"learning_rate": SCALARS["learning_rate"]}


class Writer:
    """An event writer of TensorFlow that knows whether everything has reached the file.

    TensorFlow's writer ignores an error if a record does not fit on the disk, and it keeps writing to
    a file that was deleted. Therefore this class counts the records that it hands over, and after
    each flush compares this number with the file.

    Args:
        folder: the folder of the event file.

    Raises:
        OSError: the folder cannot be written, or the file is not complete. The error names the
            folder. This applies to every method.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        earlier = set(folder.glob(events.PATTERN))
        with self._system_errors():
            self.tensorflow_writer = tf.summary.create_file_writer(str(folder))
        [created] = set(folder.glob(events.PATTERN)) - earlier
        self._file = events.named_last(created)
        self.described: set[str] = set()  # The tags in the file that have their description.
        self._expected = 1  # The first record contains the version of the file format.
        self._found, self._position = 0, 0

    @contextlib.contextmanager
    def active(self, records: int = 1) -> Iterator[None]:
        """Makes this the writer of all `tf.summary` functions.

        Args:
            records: the number of `tf.summary` calls in the block.
        """
        with self._system_errors(), self.tensorflow_writer.as_default():
            self._expected += records
            yield
        self._file.stat()  # TensorFlow would keep writing to a deleted file.

    def write(self, summary: Message | bytes, step: int = 0) -> None:
        """Writes a summary that was built without TensorFlow, or its serialized form."""
        encoded = summary if isinstance(summary, bytes) else summary.SerializeToString()
        with self.active():
            tf.summary.experimental.write_raw_pb(encoded, step=step)

    def flush(self) -> None:
        """Writes everything to the file, and checks that it is there."""
        with self._system_errors():
            self.tensorflow_writer.flush()
        self._check()

    def sync(self) -> None:
        """As `flush`, and waits until everything is on the disk."""
        self.flush()
        files.sync(self._file)
        files.sync(self.folder)

    def close(self) -> None:
        """As `flush`. Nothing can be written afterwards."""
        with self._system_errors():
            self.tensorflow_writer.close()
        self._check()

    def _check(self) -> None:
        """Compares the records in the file with those that were written."""
        count, self._position = events.count_records(self._file, self._position)
        self._found += count
        if (self._found, self._position) != (self._expected, self._file.stat().st_size):
            files.check_writable(self.folder)
            raise OSError(
                errno.ENOSPC,
                f"Only {self._found:,} of {self._expected:,} TensorBoard events could be written",
                str(self.folder),
            )

    @contextlib.contextmanager
    def _system_errors(self) -> Iterator[None]:
        """Turns TensorFlow's own errors into an OSError."""
        try:
            yield
        except tf.errors.OpError as error:
            reasons = {os.strerror(number): number for number in errno.errorcode}
            found = [reason for reason in reasons if f"; {reason}" in error.message]
            reason = max(found, key=len, default="TensorBoard events cannot be written")
            raise OSError(reasons.get(reason, errno.EIO), reason, str(self.folder)) from error


class Summaries:
    """The writers of a run: `train`, `test` and, with validation images, `validation`.

    Args:
        run: the run's folder.

    Raises:
        OSError: the folder cannot be written. This applies to every method.
    """

    def __init__(self, run: Path) -> None:
        self._train, self._test = Writer(run / "train"), Writer(run / "test")
        self._run, self._evaluated = run, {"test": self._test}
        writer = self._train.tensorflow_writer

        # One compiled loop for many steps. Writing the scalars of a step one by one from Python
        # would take as long as the step itself.
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.int64),
                tf.TensorSpec([None, len(STEP_TAGS)], tf.float32),
            ]
        )
        def write_steps(steps: tf.Tensor, values: tf.Tensor) -> None:
            with writer.as_default():
                for i in tf.range(tf.size(steps)):
                    with tf.name_scope("/"):  # Without it the loop's name becomes part of the tags.
                        for column, tag in enumerate(STEP_TAGS):
                            tf.summary.scalar(tag, values[i, column], step=steps[i])

        self._write_steps = write_steps

    def write_train_steps(
        self,
        steps: np.ndarray,
        losses: np.ndarray,
        accuracies: np.ndarray,
        learning_rates: np.ndarray,
    ) -> None:
        """Writes the training values of each step. All arrays are [n]."""
        if len(steps):
            values = np.stack([losses, accuracies, learning_rates], axis=1).astype(np.float32)
            if not self._train.described.issuperset(STEP_TAGS):
                page = Page(self._train.described)
                for tag, value in zip(STEP_TAGS, values[0], strict=True):
                    page.scalar(tag, value)
                self._train.write(page.summary, int(steps[0]))
                steps, values = steps[1:], values[1:]
            with self._train.active(records=values.size):
                self._write_steps(tf.constant(steps, tf.int64), tf.constant(values))

    def write_speed(self, step: int, images_per_second: float) -> None:
        """Writes the speed of the compiled call that ended at `step`."""
        page = Page(self._train.described)
        page.scalar("images_per_second", images_per_second)
        self._train.write(page.summary, step)

    def write_evaluation(
        self, step: int, loss: float, accuracy: float, split: str = "test"
    ) -> None:
        """Writes the means over the images of a split, "test" or "validation"."""
        if split not in self._evaluated:
            self._evaluated[split] = Writer(self._run / split)
        writer = self._evaluated[split]
        page = Page(writer.described)
        page.scalar("loss", loss)
        page.scalar("accuracy", accuracy)
        writer.write(page.summary, step)
        writer.flush()

    def write_metrics(
        self, step: int, train: Mapping[str, float], test: Mapping[str, float]
    ) -> None:
        """Writes what `model.fit` reports, by tag, for both splits, and flushes it."""
        for writer, values in ((self._train, train), (self._test, test)):
            if values:
                page = Page(writer.described)
                for tag, value in values.items():
                    page.scalar(tag, value, FIT_METRICS.get(tag, FIT_METRIC))
                writer.write(page.summary, step)
        self.flush()

    def encode_inspection(self, inspection: Inspection) -> bytes:
        """See `encoding.encode_inspection`. It writes nothing, and may run in another thread."""
        return encode_inspection(inspection, self._train.described)

    def write_inspection(self, step: int, encoded: bytes) -> None:
        """Writes what `encode_inspection` returned, and flushes it."""
        self._train.write(encoded, step)
        self._train.flush()

    def write_inputs(self, train: Split, test: Split, class_names: Sequence[str]) -> None:
        """Writes the first 25 images of both splits, one by one and as a grid with their classes."""
        for writer, split in ((self._train, train), (self._test, test)):
            images, labels = split.images[:NUM_INPUTS], split.labels[:NUM_INPUTS]
            titles = [class_names[int(label)] for label in labels]
            page = Page(writer.described)
            page.pictures("inputs/each", *images)
            page.pictures("inputs/grid", tiles.titled_grid(images, titles))
            writer.write(page.summary)
            writer.flush()

    def write_layout(self, layers: Sequence[str]) -> None:
        """Writes the layout of TensorBoard's Custom Scalars page.

        Train and test are in one chart. Of each diagnostic, the charts of all layers are next to each
        other. One chart for all layers would not show which line is which layer, because TensorBoard
        gives all lines of a writer the same colour.
        """
        from tensorboard.plugins.custom_scalar import layout_pb2, summary

        def chart(title: str, tag: str) -> layout_pb2.Chart:
            lines = layout_pb2.MultilineChartContent(tag=[f"^{re.escape(tag)}$"])
            return layout_pb2.Chart(title=title, multiline=lines)

        categories = [
            layout_pb2.Category(
                title="train and test", chart=[chart(tag, tag) for tag in STEP_TAGS]
            ),
            *(
                layout_pb2.Category(
                    title=f"{diagnostic.title}: {diagnostic.meaning}",
                    chart=[chart(layer, f"{layer}/{kind}") for layer in layers],
                )
                for kind, diagnostic in DIAGNOSTICS.items()
            ),
        ]
        self._train.write(summary.pb(layout_pb2.Layout(category=categories)))

    def write_config(self, options: Mapping[str, Any]) -> None:
        """Writes the run's options as a table."""
        rows = "".join(f"| {name} | `{value}` |\n" for name, value in options.items())
        for writer in (self._train, self._test):
            with writer.active():
                tf.summary.text("config", "| option | value |\n|---|---|\n" + rows, step=0)

    def write_graph(self, graph: tf.Graph) -> None:
        """Writes what one training step computes, for TensorBoard's Graphs page."""
        with self._train.active():
            tf.summary.graph(graph)

    def flush(self) -> None:
        """Writes everything to the disk, so that TensorBoard shows it during training."""
        for writer in (self._train, *self._evaluated.values()):
            writer.flush()

    def sync(self) -> None:
        """As `flush`, and waits until everything is on the disk."""
        for writer in (self._train, *self._evaluated.values()):
            writer.sync()

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            for writer in (self._train, *self._evaluated.values()):
                stack.callback(writer.close)


def write_trial(run: Path, options: Mapping[str, str | float | bool]) -> None:
    """Writes the entry of one run in TensorBoard's HParams page, into the run's own folder.

    The page groups runs with the same options. An entry that already exists is kept.
    """
    from tensorboard.plugins.hparams import api

    if not any(run.glob(events.PATTERN)):
        _write_once(run, api.hparams_pb(dict(options)))


def write_comparison(folder: Path, options: Mapping[str, Sequence[str | float | bool]]) -> None:
    """Writes the options and metrics in the HParams page of a folder of runs.

    Args:
        folder: the folder that contains the runs' folders; its earlier event files are replaced.
        options: the values that occur, by option.
    """
    from tensorboard.plugins.hparams import api

    for outdated in folder.glob(events.PATTERN):
        outdated.unlink()
    shown = [api.HParam(name, api.Discrete(values)) for name, values in options.items()]
    metrics = [
        api.Metric(tag, group="test", display_name=f"test {tag}", description=SCALARS[tag])
        for tag in ("accuracy", "loss")
    ]
    _write_once(folder, api.hparams_config_pb(shown, metrics))


def _write_once(folder: Path, summary: Message) -> None:
    writer = Writer(folder)
    writer.write(summary)
    writer.close()
