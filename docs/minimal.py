"""The whole idea in a hundred lines: train a LeNet on handwritten digits and look inside it.

    python docs/minimal.py --activation sigmoid
    tensorboard --logdir summary_logs

With the same data, `python -m lenet.train --towers 1` ends with exactly the same weights.
"""

import argparse
import gzip
import hashlib
import zlib
from datetime import datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser(description="Trains a LeNet on handwritten digits.")
parser.add_argument("--data-dir", type=Path, help="a folder with MNIST's four .gz files")
parser.add_argument("--activation", choices=["relu", "sigmoid", "tanh"], default="relu")
parser.add_argument("--optimizer", choices=["sgd", "momentum", "adam"], default="adam")
parser.add_argument("--epochs", type=int, help="5 for MNIST, 60 for the small digits")
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
tf.config.threading.set_intra_op_parallelism_threads(1)  # Same seed, same weights.
tf.config.experimental.enable_op_determinism()

# The data. Images are uint8 [n, 28, 28], and labels are int64 [n].
if options.data_dir:  # MNIST's four files. Sorted by name, the test set ("t10k") is first.
    files = [gzip.decompress(p.read_bytes()) for p in sorted(options.data_dir.glob("*-ubyte.gz"))]
    x_test, x_train = (np.frombuffer(f[16:], np.uint8).reshape(-1, 28, 28) for f in files[::2])
    y_test, y_train = (np.frombuffer(f[8:], np.uint8).astype(np.int64) for f in files[1::2])
    epochs, batch_size = options.epochs or 5, 100
else:  # 1,797 digits of 8x8 pixels, enlarged. The test set has 100 images of each digit.
    pixels, labels = load_digits(return_X_y=True)
    small = np.round(pixels.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    images = np.stack([Image.fromarray(x).resize((28, 28), Image.BICUBIC) for x in small])
    rng, test = np.random.default_rng(0), np.zeros(len(labels), bool)
    for digit in range(10):
        test[rng.permutation(np.flatnonzero(labels == digit))[:100]] = True
    x_train, y_train, x_test, y_test = images[~test], labels[~test], images[test], labels[test]
    epochs, batch_size = options.epochs or 60, 32


class LeNet(keras.Model):
    """After LeCun et al., 1998. Returns the logits, and the activations of fc2 to look at."""

    def __init__(self, activation):
        super().__init__(name="lenet")
        conv, dense = keras.layers.Conv2D, keras.layers.Dense
        self.conv1 = conv(6, 5, padding="same", activation=activation, name="conv1")
        self.conv2 = conv(16, 5, activation=activation, name="conv2")
        self.fc1 = dense(120, activation, name="fc1")
        self.fc2 = dense(84, activation, name="fc2")
        self.fc3, self.pool = dense(10, name="fc3"), keras.layers.MaxPool2D(2)

    def call(self, images):
        x = tf.cast(images[..., None], tf.float32) / 255.0
        for conv in (self.conv1, self.conv2):
            conv.built or conv.build(x.shape)  # The first image creates the weights.
            # Pooling before bias and activation has the same result with less arithmetic.
            x = self.pool(tf.nn.conv2d(x, conv.kernel, 1, conv.padding.upper()))
            x = conv.activation(tf.nn.bias_add(x, conv.bias))
        fc2 = self.fc2(self.fc1(tf.reshape(x, [-1, 400])))  # 16 maps of 5x5 values.
        return self.fc3(fc2), fc2


model = LeNet(options.activation)
model(x_test[:1])
for layer in (model.conv1, model.conv2, model.fc1, model.fc2, model.fc3):  # Each has its own seed.
    seed = zlib.crc32(f"{options.seed}/{layer.name}".encode()) & 0x7FFFFFFF
    layer.kernel.assign(keras.initializers.GlorotUniform(seed)(layer.kernel.shape))
optimizer = {
    "sgd": keras.optimizers.SGD(0.01),
    "momentum": keras.optimizers.SGD(0.01, momentum=0.9),
    "adam": keras.optimizers.Adam(0.001, *np.float32([0.9, 0.999]).tolist()),  # Rounded to float32.
}[options.optimizer]


def evaluate(images, labels):
    """Returns the mean cross-entropy, the accuracy, and the activations of fc2."""
    logits, fc2 = model(images)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    hits = keras.metrics.sparse_categorical_accuracy(labels, logits)
    return tf.reduce_mean(losses), tf.reduce_mean(hits), fc2


@tf.function
def train_step(images, labels):
    """Updates the weights by one step of the optimizer. Returns the loss before this update."""
    with tf.GradientTape() as tape:
        loss, _, _ = evaluate(images, labels)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


# The training loop. It also writes what TensorBoard shows.
log = f"summary_logs/minimal-{options.activation}-{options.optimizer}-{datetime.now():%H%M%S}"
tf.summary.create_file_writer(log).set_as_default()
for epoch in range(epochs):
    order = np.random.default_rng([options.seed, epoch]).permutation(len(y_train))
    for batch in np.split(order, range(batch_size, len(order), batch_size)):
        loss = train_step(x_train[batch], y_train[batch])
        tf.summary.experimental.set_step(int(optimizer.iterations))
        tf.summary.scalar("train/loss", loss)
    loss, accuracy, fc2 = evaluate(x_test, y_test)
    tf.summary.scalar("test/loss", loss)
    tf.summary.scalar("test/accuracy", accuracy)
    kernels = np.moveaxis(model.conv1.kernel.numpy(), 3, 0)
    tf.summary.histogram("conv1/kernel", kernels)
    tf.summary.image("conv1/kernels", (kernels - kernels.min()) / np.ptp(kernels), max_outputs=6)
    rows = fc2.numpy()[np.argsort(y_test[:1000])][None, ..., None]
    tf.summary.image("fc2/by_class", (rows - rows.min()) / np.ptp(rows))
    print(f"Epoch {epoch + 1}/{epochs}: test loss {loss:.4f}, test accuracy {accuracy:.2%}")
weights = [f"{w.path} {w.dtype} {w.shape}".encode() + w.numpy().tobytes() for w in model.weights]
print(f"Weights sha256 {hashlib.sha256(b''.join(weights)).hexdigest()}")
