"""Everything that reaches TensorBoard: the only module that writes `tf.summary` events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lenet import tiles
from lenet.models import Classifier

STEP_TAGS = ("loss", "accuracy", "learning_rate")


class Summaries:
    """The two writers of a run, `train` and `test`.

    Args:
        run: the run's folder.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, run: Path) -> None:
        self._train = tf.summary.create_file_writer(str(run / "train"))
        self._test = tf.summary.create_file_writer(str(run / "test"))
        writer = self._train

        # One compiled loop for many steps: written one by one from Python, the scalars of a
        # step would cost as much as the step itself.
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.int64),
                tf.TensorSpec([None, len(STEP_TAGS)], tf.float32),
            ]
        )
        def write_steps(steps: tf.Tensor, values: tf.Tensor) -> None:
            with writer.as_default():
                for i in tf.range(tf.size(steps)):
                    with tf.name_scope("/"):  # Else the loop's name becomes part of the tags.
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
        """Writes the train point of each step; all arrays are [n]."""
        if len(steps):
            values = np.stack([losses, accuracies, learning_rates], axis=1).astype(np.float32)
            self._write_steps(tf.constant(steps, tf.int64), tf.constant(values))

    def write_speed(self, step: int, images_per_second: float) -> None:
        """Writes how fast the compiled call that ended at `step` was."""
        with self._train.as_default():
            tf.summary.scalar("images_per_second", images_per_second, step=step)

    def write_evaluation(self, step: int, loss: float, accuracy: float) -> None:
        """Writes the means over the whole test set."""
        with self._test.as_default():
            tf.summary.scalar("loss", loss, step=step)
            tf.summary.scalar("accuracy", accuracy, step=step)
        self._test.flush()

    def write_weights(self, step: int, model: Classifier) -> None:
        """Writes a histogram of every kernel and bias, and the kernels of convolutions as pictures."""
        with self._train.as_default():
            for name, layer in model.weight_layers.items():
                kernel = np.asarray(layer.kernel)
                tf.summary.histogram(f"{name}/kernel", kernel, step=step)
                tf.summary.histogram(f"{name}/bias", np.asarray(layer.bias), step=step)
                if kernel.ndim == 4:
                    self._picture(f"{name}/kernels", tiles.kernels_as_rgb(kernel), step)
                    self._picture(
                        f"{name}/kernels_by_channel", tiles.kernels_by_channel(kernel), step
                    )

    def write_config(self, options: Mapping[str, Any]) -> None:
        """Writes the run's options as a table."""
        rows = "".join(f"| {name} | `{value}` |\n" for name, value in options.items())
        for writer in (self._train, self._test):
            with writer.as_default():
                tf.summary.text("config", "| option | value |\n|---|---|\n" + rows, step=0)

    def write_graph(self, graph: tf.Graph) -> None:
        """Writes what one training step computes, for TensorBoard's Graphs page."""
        with self._train.as_default():
            tf.summary.graph(graph)

    def flush(self) -> None:
        """Sends what was written to the disk, so that TensorBoard sees it while training runs."""
        self._train.flush()
        self._test.flush()

    def close(self) -> None:
        self._train.close()
        self._test.close()

    def _picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        tf.summary.image(tag, picture[None], step=step)
