"""Writes everything for TensorBoard. Only this module writes `tf.summary` events."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.util import tensor_util

from lenet import files
from lenet.data.datasets import Split
from lenet.diagnostics import DIAGNOSTICS
from lenet.figures import tiles
from lenet.recording import events
from lenet.recording.inspections import Inspection

STEP_TAGS = ("loss", "accuracy", "learning_rate")
HISTOGRAMS = ("kernel", "bias", "kernel_gradient", "bias_gradient", "activation")
BUCKETS = 30
BLOCK = 2**20
NUM_INPUTS = 25
# No screen can show a larger matrix, or more kernels, as an image.
LARGEST_MATRIX = 4_000_000

# The metadata that tf.summary.histogram, .image and .scalar attach. These functions use small
# TensorFlow operations, which take ten times as long here as NumPy.
HISTOGRAM_METADATA = histogram_metadata.create_summary_metadata("", "")
IMAGE_METADATA = image_metadata.create_summary_metadata("", "")
SCALAR_METADATA = scalar_metadata.create_summary_metadata("", "")


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
            with self._train.active(records=values.size):
                self._write_steps(tf.constant(steps, tf.int64), tf.constant(values))

    def write_speed(self, step: int, images_per_second: float) -> None:
        """Writes the speed of the compiled call that ended at `step`."""
        page = _Page()
        page.scalar("images_per_second", images_per_second)
        self._train.write(page.summary, step)

    def write_evaluation(
        self, step: int, loss: float, accuracy: float, split: str = "test"
    ) -> None:
        """Writes the means over the images of a split, "test" or "validation"."""
        if split not in self._evaluated:
            self._evaluated[split] = Writer(self._run / split)
        page = _Page()
        page.scalar("loss", loss)
        page.scalar("accuracy", accuracy)
        self._evaluated[split].write(page.summary, step)
        self._evaluated[split].flush()

    def write_metrics(
        self, step: int, train: Mapping[str, float], test: Mapping[str, float]
    ) -> None:
        """Writes any scalars of both splits, by tag, and flushes them."""
        for writer, values in ((self._train, train), (self._test, test)):
            if values:
                page = _Page()
                for tag, value in values.items():
                    page.scalar(tag, value)
                writer.write(page.summary, step)
        self.flush()

    def write_inspection(self, step: int, encoded: bytes) -> None:
        """Writes what `encode_inspection` returned, and flushes it."""
        self._train.write(encoded, step)
        self._train.flush()

    def write_inputs(self, train: Split, test: Split, class_names: Sequence[str]) -> None:
        """Writes the first 25 images of both splits, one by one and as a grid with their classes."""
        for writer, split in ((self._train, train), (self._test, test)):
            images, labels = split.images[:NUM_INPUTS], split.labels[:NUM_INPUTS]
            titles = [class_names[int(label)] for label in labels]
            page = _Page()
            page.pictures("inputs/each", *images)
            page.pictures("inputs/grid", tiles.titled_grid(images, titles))
            writer.write(page.summary)
            writer.flush()

    def write_layout(self, layers: Sequence[str]) -> None:
        """Writes the layout of TensorBoard's Custom Scalars page: train and test in one chart."""
        from tensorboard.plugins.custom_scalar import layout_pb2, summary

        def chart(title: str, *tags: str) -> layout_pb2.Chart:
            return layout_pb2.Chart(
                title=title, multiline=layout_pb2.MultilineChartContent(tag=list(tags))
            )

        curves = [chart(tag, f"^{tag}$") for tag in STEP_TAGS]
        diagnostics = [
            chart(kind, *(f"^{layer}/{kind}$" for layer in layers)) for kind in DIAGNOSTICS
        ]
        layout = layout_pb2.Layout(
            category=[
                layout_pb2.Category(title="train and test", chart=curves),
                layout_pb2.Category(title="layer by layer", chart=diagnostics),
            ]
        )
        self._train.write(summary.pb(layout))

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


def encode_inspection(inspection: Inspection) -> bytes:
    """Encodes histograms, diagnostics and images of every layer. It writes nothing.

    Returns:
        A serialized Summary.
    """
    page = _Page()
    for name, layer in inspection.layers.items():
        for kind in HISTOGRAMS:
            if (values := getattr(layer, kind)) is not None:
                page.histogram(f"{name}/{kind}", values)
        for kind, value in layer.diagnostics.items():
            page.scalar(f"{name}/{kind}", value)
        if layer.kernel.size > LARGEST_MATRIX:
            continue
        if layer.kernel.ndim == 4:
            page.pictures(f"{name}/kernels", tiles.kernels_as_rgb(layer.kernel))
            page.pictures(f"{name}/kernels_by_channel", tiles.kernels_by_channel(layer.kernel))
        elif layer.kernel.ndim == 2:
            # Outputs are rows, so that the image is wide, like a screen.
            page.pictures(f"{name}/matrix", tiles.matrix(layer.kernel.T))
    for name, maps in inspection.feature_maps.items():
        page.pictures(f"{name}/feature_maps", tiles.maps(maps))
        page.pictures(f"{name}/pre_activations", tiles.maps(inspection.pre_activations[name]))
    if inspection.features is not None and inspection.labels is not None:
        by_class = tiles.matrix(inspection.features)
        page.pictures(f"{inspection.feature_layer}/by_class", by_class)
    return page.summary.SerializeToString()


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
        api.Metric(tag, group="test", display_name=f"test {tag}") for tag in ("accuracy", "loss")
    ]
    _write_once(folder, api.hparams_config_pb(shown, metrics))


def _write_once(folder: Path, summary: Message) -> None:
    writer = Writer(folder)
    writer.write(summary)
    writer.close()


def histogram(values: np.ndarray) -> np.ndarray:
    """Counts values in 30 buckets of equal width, in the form of TensorBoard's histograms.

    Args:
        values: float, any shape; values that are not finite are left out.

    Returns:
        float64 [30, 3]: left edge, right edge, count. If all values are equal, the buckets
        span one unit around them; if there are none, the counts are 0.
    """
    flat = values.ravel()
    minimum, maximum = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    if not np.isfinite(maximum - minimum):
        flat = flat[np.isfinite(flat)]
        minimum, maximum = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    if minimum == maximum:
        minimum, maximum = minimum - 0.5, maximum + 0.5
    edges = np.linspace(minimum, maximum, BUCKETS + 1)
    counts = np.zeros(BUCKETS, np.intp)
    # This is faster than numpy.histogram, which checks every edge again. It works in blocks,
    # because a layer may have a hundred million weights.
    for start in range(0, flat.size, BLOCK):
        block = flat[start : start + BLOCK]
        buckets = ((block - minimum) * (BUCKETS / (maximum - minimum))).astype(np.intp)
        counts += np.bincount(np.clip(buckets, 0, BUCKETS - 1), minlength=BUCKETS)
    return np.stack([edges[:-1], edges[1:], counts], axis=1)


class _Page:
    """Many values of one step in one event. One event per value would take ten times as long."""

    def __init__(self) -> None:
        self.summary = Summary()

    def scalar(self, tag: str, value: float) -> None:
        self._add(tag, np.float32(value), SCALAR_METADATA)

    def histogram(self, tag: str, values: np.ndarray) -> None:
        self._add(tag, histogram(values), HISTOGRAM_METADATA)

    def pictures(self, tag: str, *pictures: np.ndarray) -> None:
        """Adds images of one size, uint8 [h, w, channels]."""
        height, width, _ = pictures[0].shape
        encoded = [str(width).encode(), str(height).encode(), *map(tiles.png, pictures)]
        self._add(tag, encoded, IMAGE_METADATA)

    def _add(self, tag: str, value: Any, metadata: SummaryMetadata) -> None:
        tensor = tensor_util.make_tensor_proto(value)
        self.summary.value.add(tag=tag, tensor=tensor, metadata=metadata)
