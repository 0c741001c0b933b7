"""The contestant `step loop`: a Python loop over `tf.data` with one `tf.function` call per step."""

from __future__ import annotations

import sys
import tempfile
from typing import Any

from experiments.bench.gate import Gate
from experiments.bench.keras_fit import functional_model
from experiments.bench.settings import Settings, floats
from lenet.data.sampling import choose_probe
from lenet.data.splits import Split

import keras  # isort: skip  # After keras_fit, which imports it without messages on stderr.
import numpy as np
import tensorflow as tf

LOOK_EVERY = 200
EVALUATION_BATCH = 500


class Loop:
    """The training step and the evaluation in the way of tutorials.

    Args:
        model: a functional model that returns logits.
        learning_rate: the learning rate of Adam.
    """

    def __init__(self, model: Any, learning_rate: float) -> None:
        self.model = model
        self.optimizer: Any = keras.optimizers.Adam(learning_rate)
        self.loss_of: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train_step(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """One update; returns the loss and the accuracy before it."""
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            loss = self.loss_of(labels, logits)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        return loss, self._accuracy(labels, logits)

    @tf.function
    def test_step(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """The loss and the accuracy."""
        logits = self.model(images)
        return self.loss_of(labels, logits), self._accuracy(labels, logits)

    def _accuracy(self, labels: Any, logits: Any) -> Any:
        hits = tf.equal(tf.argmax(logits, 1, output_type=tf.int32), labels)
        return tf.reduce_mean(tf.cast(hits, tf.float32))


class Looking:
    """Writes the same summaries as `lenet`, each with its own call of `tf.summary`.

    Args:
        loop: the loop with the network to measure.
        images, labels: the images for the measurements, float32 [n, height, width, channels], and
            their labels, int32 [n].
    """

    def __init__(self, loop: Loop, images: Any, labels: Any) -> None:
        self.loop, self.images, self.labels = loop, tf.constant(images), tf.constant(labels)
        shown = [layer for layer in loop.model.layers if layer.name != "flatten"][1:]
        self.outputs: Any = keras.Model(
            loop.model.inputs, {layer.name: layer.output for layer in shown}
        )
        self.kernels = [layer for layer in shown if layer.weights]

    @tf.function
    def measure(self) -> tuple[Any, Any]:
        """The gradients of all weights, and the outputs of all layers."""
        with tf.GradientTape() as tape:
            outputs = self.outputs(self.images)
            loss = self.loop.loss_of(self.labels, outputs[self.kernels[-1].name])
        return tape.gradient(loss, self.loop.model.trainable_variables), outputs

    def write(self, step: int) -> None:
        """Writes histograms and images. A writer must be active."""
        gradients, outputs = self.measure()
        for weight, gradient in zip(self.loop.model.trainable_variables, gradients, strict=True):
            tf.summary.histogram(weight.path, weight.value, step=step)
            tf.summary.histogram(f"{weight.path}_gradient", gradient, step=step)
        for name, output in outputs.items():
            tf.summary.histogram(f"{name}/activation", output, step=step)
            if len(output.shape) == 4:
                tf.summary.image(f"{name}/feature_maps", side_by_side(output[0]), step=step)
        for layer in self.kernels:
            kernel = layer.kernel.numpy()
            if kernel.ndim == 4:
                picture = side_by_side(kernel.reshape(*kernel.shape[:2], -1))
                tf.summary.image(f"{layer.name}/kernels", picture, step=step)
            else:
                tf.summary.image(f"{layer.name}/matrix", side_by_side(kernel[..., None]), step=step)


def side_by_side(values: Any) -> np.ndarray:
    """Images [height, width, n] in one row, from 0 to 1, as `tf.summary.image` requires."""
    values = np.asarray(values)
    low, high = values.min(), values.max()
    row = np.moveaxis(values, 2, 1).reshape(1, len(values), -1, 1)
    return (row - low) / max(high - low, 1e-12)


def compete(settings: Settings, how: str) -> None:
    """Trains with a Python loop over batches.

    Args:
        how: "plain"; or "looking" for the loss and the accuracy at each step, histograms and
            images every 200 steps, and an evaluation after each epoch.
    """
    dataset = settings.dataset()
    config = settings.config().resolved(len(dataset.train))
    tf.random.set_seed(settings.seed)
    images, labels = floats(dataset, dataset.train), dataset.train.labels
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = batches.shuffle(len(images)).batch(settings.batch_size).prefetch(tf.data.AUTOTUNE)
    test_images = floats(dataset, dataset.test)
    test = tf.data.Dataset.from_tensor_slices((test_images, dataset.test.labels))
    test = test.batch(EVALUATION_BATCH)
    assert config.learning_rate
    loop = Loop(functional_model(settings, dataset), config.learning_rate)
    probe = choose_probe(dataset.train, dataset.test)
    looking = Looking(loop, floats(dataset, Split(probe.images, probe.labels)), probe.labels)
    gate = Gate()
    with tempfile.TemporaryDirectory() as logdir:
        train_writer, test_writer = (
            tf.summary.create_file_writer(f"{logdir}/{name}") for name in ("train", "test")
        )
        step = 0
        for _ in range(settings.turns):
            gate.wait()
            losses, sizes = [], []
            for batch_images, batch_labels in batches:
                loss, accuracy = loop.train_step(batch_images, batch_labels)
                losses.append(loss)
                sizes.append(len(batch_labels))
                step += 1
                if how == "looking":
                    with train_writer.as_default():
                        tf.summary.scalar("loss", loss, step=step)
                        tf.summary.scalar("accuracy", accuracy, step=step)
                        tf.summary.scalar("learning_rate", config.learning_rate, step=step)
                        if step % LOOK_EVERY == 0:
                            looking.write(step)
            mean_loss = np.average(np.array(losses), weights=sizes)  # Waits for the last step.
            gate.trained()
            if how == "looking":
                results = np.mean([[float(x) for x in loop.test_step(*b)] for b in test], axis=0)
                with test_writer.as_default():
                    tf.summary.scalar("loss", results[0], step=step)
                    tf.summary.scalar("accuracy", results[1], step=step)
                train_writer.flush()
            gate.answer(mean_loss, len(images))


if __name__ == "__main__":
    compete(Settings.from_json(sys.argv[1]), sys.argv[2])
