"""The compiled functions of a run: many training steps in one call, and an exact evaluation.

The compiled inner loop in a plain Python outer loop follows Orbit (tensorflow/models). The data
set in memory, from which the graph gathers each batch, follows KellerJordan/cifar10-airbench.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lenet.data.datasets import Split
from lenet.networks.classifier import Classifier
from lenet.networks.inputs import images_at_once, to_float
from lenet.training.augmentation import augment

do_not_convert = tf.autograph.experimental.do_not_convert


class Steps:
    """The compiled functions of one run. Nothing is traced until they are called.

    The convolutional part of the network processes `towers` parts of each batch in parallel. The
    gradients of the parts are added in a fixed order, so the number of threads changes the speed
    but never the result. The last batch of an epoch may be smaller.

    AutoGraph converts only the two methods with loops in the graph, because converting takes
    longer than all the tracing.

    Args:
        model: a network whose weights exist already.
        optimizer: an optimizer without variables; they are created here for the model's weights.
        train, test, validation: uint8 images; they are kept in memory once and not copied per step.
        batch_size: images per update.
        towers: parts per batch.
        augmentations: the changes to training images, see `augmentation.augment`.
        seed: the seed for augmentation and dropout.
    """

    def __init__(
        self,
        model: Classifier,
        optimizer: keras.optimizers.Optimizer,
        train: Split,
        test: Split,
        *,
        batch_size: int,
        towers: int = 2,
        augmentations: Sequence[str] = (),
        seed: int = 0,
        validation: Split | None = None,
    ) -> None:
        optimizer.build(model.trainable_variables)
        self._model, self._optimizer = model, optimizer
        self._variables = model.trainable_variables
        self._batch_size, self._towers = batch_size, towers
        self._augmentations, self._seed = augmentations, seed
        self._images, self._labels = tf.constant(train.images), tf.constant(train.labels)
        evaluated = {"test": test, **({"validation": validation} if validation else {})}
        self._evaluated = {
            name: (tf.constant(split.images), tf.constant(split.labels))
            for name, split in evaluated.items()
        }
        self._evaluated_at_once = images_at_once(test.images)
        self._train = tf.function(
            self._train_loop,
            input_signature=[
                tf.TensorSpec(train.images.shape, tf.uint8),
                tf.TensorSpec(train.labels.shape, tf.int32),
                tf.TensorSpec([len(train)], tf.int32),
                tf.TensorSpec([], tf.int32),
                tf.TensorSpec([None], tf.float32),
            ],
        )
        self._evaluate = tf.function(
            self._evaluation_loop,
            input_signature=[
                tf.TensorSpec([None, *test.images.shape[1:]], tf.uint8),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], tf.int32),
            ],
        )

    def train(
        self, order: tf.Tensor, *, first: int, rates: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Performs one update for each learning rate.

        Args:
            order: int32 [n], the order of the images in this epoch.
            first: the number of the first batch in the epoch, from 0.
            rates: float32 [k], the learning rates.

        Returns:
            The losses in nats and the accuracies from 0 to 1, float32 [k] each, of every batch
            just before its update.
        """
        losses, accuracies = self._train(
            self._images, self._labels, order, tf.constant(first), tf.constant(rates)
        )
        return losses.numpy(), accuracies.numpy()

    def evaluate(self, indices: np.ndarray, split: str = "test") -> tuple[float, float, np.ndarray]:
        """Evaluates the network on some images.

        Args:
            indices: int32 [k], the indices of the images.
            split: "test" or "validation".

        Returns:
            The mean loss in nats, the accuracy from 0 to 1, and the logits, float32 [k, classes].
        """
        loss, accuracy, logits = self._evaluate(*self._evaluated[split], tf.constant(indices))
        return float(loss), float(accuracy), logits.numpy()

    def one_step_graph(self) -> tf.Graph:
        """The graph of one update with one tower, which is easier to read than the full graph."""

        def train_step_on_one_tower(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            return self._train_step(images, labels, towers=1)[0]

        signature = [
            tf.TensorSpec([None, *self._images.shape[1:]], tf.uint8, "images"),
            tf.TensorSpec([None], tf.int32, "labels"),
        ]
        compiled = tf.function(train_step_on_one_tower, signature, autograph=False)
        return compiled.get_concrete_function().graph

    def _train_loop(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        order: tf.Tensor,
        first: tf.Tensor,
        rates: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.size(rates)
        losses = tf.TensorArray(tf.float32, count)
        accuracies = tf.TensorArray(tf.float32, count)
        for i in tf.range(count):
            start = (first + i) * self._batch_size
            self._optimizer.learning_rate.assign(rates[i])
            indices = order[start : start + self._batch_size]
            loss, accuracy = self._train_step(
                tf.gather(images, indices), tf.gather(labels, indices), self._towers
            )
            losses = losses.write(i, loss)
            accuracies = accuracies.write(i, accuracy)
        return losses.stack(), accuracies.stack()

    @do_not_convert
    def _train_step(
        self, images: tf.Tensor, labels: tf.Tensor, towers: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Performs one update; returns the mean loss and the accuracy of the batch."""
        # TensorBoard's graph shows these names on its boxes.
        with tf.name_scope("batch"):
            # The optimizer counts the steps, and checkpoints contain its count.
            step = tf.cast(tf.convert_to_tensor(self._optimizer.iterations), tf.int32)
            seeds = [tf.stack([self._seed, step * towers + number]) for number in range(towers)]
        with tf.GradientTape() as tape:
            with tf.name_scope("forward"), tf.name_scope(self._model.name):
                logits = self._logits(images, seeds)
            with tf.name_scope("loss"):
                losses, hits = loss_and_hits(logits, labels)
                loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, self._variables)
        with tf.name_scope("optimizer"):
            self._optimizer.apply(gradients, self._variables)
        return loss, tf.reduce_mean(hits)

    def _logits(self, images: tf.Tensor, seeds: Sequence[tf.Tensor]) -> tf.Tensor:
        """The logits of a batch, computed by as many towers as there are seeds.

        The towers end before the fully connected layers. The many weights of these layers then
        have one gradient instead of one per tower. With conv4 and 10 images of 64x64 pixels, this
        makes a step 14 % faster.
        """
        size: Any = tf.shape(images)[0]
        outputs = []
        for number, seed in enumerate(seeds):
            first, end = size * number // len(seeds), size * (number + 1) // len(seeds)
            # TensorFlow's convolutions do not accept an empty batch. A tower without images
            # processes one image, whose output is removed.
            inputs = to_float(images[first : tf.maximum(end, first + 1)])
            inputs = augment(inputs, self._augmentations, seed)
            outputs.append(self._model.convolutional_part(inputs, True, seed)[: end - first])
        return self._model.dense_part(tf.concat(outputs, 0), True, seeds[0])[0]

    def _evaluation_loop(
        self, images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        total_loss = tf.constant(0.0, tf.float64)
        total_hits = tf.constant(0.0, tf.float64)
        count, size = tf.size(indices), self._evaluated_at_once
        parts = tf.TensorArray(tf.float32, -(-count // size), infer_shape=False)
        for part in tf.range(-(-count // size)):
            batch = indices[part * size : (part + 1) * size]
            loss, hits, logits = self._evaluate_batch(
                tf.gather(images, batch), tf.gather(labels, batch)
            )
            total_loss += loss
            total_hits += hits
            parts = parts.write(part, logits)
        number = tf.cast(count, tf.float64)
        return total_loss / number, total_hits / number, parts.concat()

    @do_not_convert
    def _evaluate_batch(
        self, images: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The sum of the losses and the number of hits, float64 [], and the logits."""
        logits, _ = self._model(to_float(images), training=False)
        losses, hits = loss_and_hits(logits, labels)
        return (
            tf.reduce_sum(tf.cast(losses, tf.float64)),
            tf.reduce_sum(tf.cast(hits, tf.float64)),
            logits,
        )


def loss_and_hits(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The cross-entropy of each image in nats, and 1.0 if its largest logit is at its label."""
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    predicted = tf.argmax(logits, axis=1, output_type=tf.int32)
    return loss, tf.cast(tf.equal(predicted, labels), tf.float32)
