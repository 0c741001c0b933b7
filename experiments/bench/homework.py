"""The homework as its author would write it today: the contestant in the part `job`.

It is a script in one file: `tf.data`, a subclassed Keras model, a train step in `tf.function`,
`tf.summary` in a plain loop, matplotlib figures converted to images. It records scalars at each
step, records histograms and figures every 200 steps, and evaluates after each epoch. It does not
use `lenet`, but reads the same MNIST files.
"""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
import tensorflow as tf

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LOG_EVERY = 200


class LeNet(keras.Model):
    """The network of the homework. It returns logits and fc2 activations."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.conv1: Any = keras.layers.Conv2D(6, 5, padding="same", activation=activation)
        self.conv2: Any = keras.layers.Conv2D(16, 5, activation=activation)
        self.pool: Any = keras.layers.MaxPool2D(2)
        self.flatten: Any = keras.layers.Flatten()
        self.fc1: Any = keras.layers.Dense(120, activation=activation)
        self.fc2: Any = keras.layers.Dense(84, activation=activation)
        self.fc3: Any = keras.layers.Dense(10)

    def call(self, images: Any) -> tuple[Any, Any]:
        x: Any = self.pool(self.conv2(self.pool(self.conv1(images))))
        features = self.fc2(self.fc1(self.flatten(x)))
        return self.fc3(features), features


def load(folder: Path) -> tuple[Any, Any]:
    """MNIST as two pairs of float images [n, 28, 28, 1] and labels [n]."""

    def read(name: str, header: int) -> np.ndarray:
        path = folder / name
        content = path.read_bytes() if path.exists() else None
        content = content or gzip.decompress((folder / f"{name}.gz").read_bytes())
        return np.frombuffer(content, np.uint8, offset=header)

    return tuple(
        (
            (read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1) / 255).astype("float32"),
            read(f"{part}-labels-idx1-ubyte", 8).astype("int64"),
        )
        for part in ("train", "t10k")
    )


def figure_to_image(figure: Any) -> tf.Tensor:
    """A matplotlib figure in TensorBoard's format: uint8 [1, height, width, 4]."""
    buffer = io.BytesIO()
    plt.savefig(buffer, format="png")
    plt.close(figure)
    return tf.expand_dims(tf.image.decode_png(buffer.getvalue(), channels=4), 0)


def draw_kernels(kernel: Any) -> Any:
    """Every input channel of every kernel as a gray image."""
    _, _, inputs, outputs = kernel.shape
    figure, axes = plt.subplots(inputs, outputs, figsize=(outputs, inputs), squeeze=False)
    for i in range(inputs):
        for j in range(outputs):
            axes[i][j].imshow(kernel[:, :, i, j], cmap="gray")
            axes[i][j].axis("off")
    return figure


def draw_matrix(matrix: Any) -> Any:
    """A matrix as a gray image."""
    figure = plt.figure(figsize=(8, 4))
    plt.imshow(matrix.T, cmap="gray", aspect="auto")
    plt.colorbar()
    return figure


def main(data_dir: Path, logdir: Path, activation: str, epochs: int, batch_size: int) -> None:
    """Trains, and records everything that the homework requires."""
    (train_images, train_labels), (test_images, test_labels) = load(data_dir)
    train = tf.data.Dataset.from_tensor_slices((train_images, train_labels))
    train = train.shuffle(60_000).batch(batch_size).prefetch(tf.data.AUTOTUNE)
    test = tf.data.Dataset.from_tensor_slices((test_images, test_labels)).batch(500)
    model: Any = LeNet(activation)
    optimizer = keras.optimizers.Adam(1e-3)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train_writer = tf.summary.create_file_writer(str(logdir / "train"))
    test_writer = tf.summary.create_file_writer(str(logdir / "test"))

    @tf.function
    def train_step(images: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            logits, _ = model(images)
            loss: Any = loss_of(labels, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        hits = tf.equal(tf.argmax(logits, 1), labels)
        return loss, tf.reduce_mean(tf.cast(hits, tf.float32))

    @tf.function
    def test_step(images: Any, labels: Any) -> tuple[Any, Any]:
        logits, _ = model(images)
        hits = tf.equal(tf.argmax(logits, 1), labels)
        return loss_of(labels, logits), tf.reduce_mean(tf.cast(hits, tf.float32))

    step = 0
    for epoch in range(epochs):
        for images, labels in train:
            loss, accuracy = train_step(images, labels)
            step += 1
            with train_writer.as_default():
                tf.summary.scalar("loss", loss, step=step)
                tf.summary.scalar("accuracy", accuracy, step=step)
                if step % LOG_EVERY == 0:
                    for weight in model.trainable_variables:
                        tf.summary.histogram(weight.path, weight.value, step=step)
                    for layer in (model.conv1, model.conv2):
                        picture = figure_to_image(draw_kernels(layer.kernel.numpy()))
                        tf.summary.image(f"{layer.name}/kernels", picture, step=step)
                    for layer in (model.fc1, model.fc2, model.fc3):
                        picture = figure_to_image(draw_matrix(layer.kernel.numpy()))
                        tf.summary.image(f"{layer.name}/matrix", picture, step=step)
        results = np.mean([[float(x) for x in test_step(*batch)] for batch in test], axis=0)
        with test_writer.as_default():
            tf.summary.scalar("loss", results[0], step=step)
            tf.summary.scalar("accuracy", results[1], step=step)
        print(f"epoch {epoch + 1}: test loss {results[0]:.4f}, test accuracy {results[1]:.4f}")
    _, features = model(test_images)
    for digit in range(10):
        rows = features.numpy()[test_labels == digit][:100]
        plt.imsave(logdir / f"fc2_map_{digit}.png", rows, cmap="gray")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
