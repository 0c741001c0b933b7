"""The compiled functions: many training steps in one call, and an exact evaluation.

The idea of a compiled inner loop under a plain Python outer loop is Orbit's
(tensorflow/models); keeping the data set in memory and gathering each batch from it inside
the graph follows KellerJordan/cifar10-airbench.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lenet.data.datasets import Split
from lenet.data.sampling import Probe
from lenet.networks.classifier import Classifier
from lenet.networks.inputs import images_at_once, to_float
from lenet.training.augmentation import augment

# An activation is saturated where its slope is below this: hardly any gradient passes there.
SATURATED_SLOPE = 0.01
# A unit is dead where its output moves no more than this over all probe images.
DEAD_RANGE = 1e-6


@dataclass(frozen=True)
class Steps:
    """The compiled functions of one run.

    Attributes:
        train: (order int32 [n], first int32 [], rates float32 [k]) → losses float32 [k],
            accuracies float32 [k]. Makes k updates: update i takes batch number first + i of
            the epoch whose order of images is given, at learning rate rates[i]. The loss and
            the accuracy are those of the batch just before its update.
        evaluate: (indices int32 [k]) → loss, accuracy, float64 []: the means over those test
            images.
        one_step_graph: () → the graph of one update with one tower, for a person to read.
        inspect: () → what the network does with the probe images, by kind, then by layer; see
            `inspections.Inspection`.
    """

    train: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    evaluate: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    one_step_graph: Callable[[], tf.Graph]
    inspect: Callable[[], dict[str, dict[str, Any]]]


def compile_steps(
    model: Classifier,
    optimizer: keras.optimizers.Optimizer,
    train: Split,
    test: Split,
    probe: Probe,
    batch_size: int,
    towers: int = 2,
    augmentations: Sequence[str] = (),
    seed: int = 0,
) -> Steps:
    """Makes fresh compiled functions; nothing is traced until they are called.

    Each batch is cut into `towers` parts whose gradients are computed side by side, then added
    in a fixed order: the number of threads changes how long that takes, not what comes out.
    The last batch of an epoch may be smaller; every image counts the same within its batch.

    Args:
        model: built.
        optimizer: not yet built; it is built here, for the model's variables.
        train, test: uint8 images; they are kept in memory once and not copied per step.
        probe: the images `inspect` looks at.
        batch_size: images per update.
        towers: parts per batch.
        augmentations: how training images are changed, see `augmentation.augment`.
        seed: of augmentation and dropout.
    """
    optimizer.build(model.trainable_variables)
    images, labels = tf.constant(train.images), tf.constant(train.labels)
    test_images, test_labels = tf.constant(test.images), tf.constant(test.labels)
    variables = model.trainable_variables

    def tower(
        inputs: tf.Tensor, expected: tf.Tensor, batch: tf.Tensor, number: int = 0
    ) -> tuple[tf.Tensor, tf.Tensor, list[Any]]:
        # The names are those of the boxes in TensorBoard's graph.
        with tf.name_scope("batch"):
            # Counted by the optimizer, which checkpoints keep.
            step = tf.cast(tf.convert_to_tensor(optimizer.iterations), tf.int32)
            own_seed = tf.stack([seed, step * towers + number])
            inputs = augment(to_float(inputs), augmentations, own_seed)
        with tf.GradientTape() as tape:
            with tf.name_scope("forward"):
                logits, _ = model(inputs, training=True, dropout_seed=own_seed)
            with tf.name_scope("loss"):
                losses, hits = loss_and_hits(logits, expected)
                loss, accuracy = tf.reduce_sum(losses) / batch, tf.reduce_sum(hits) / batch
        return loss, accuracy, tape.gradient(loss, variables)

    def part(
        inputs: tf.Tensor, expected: tf.Tensor, number: int
    ) -> tuple[tf.Tensor, tf.Tensor, list[Any]]:
        size = tf.shape(expected)[0]
        first, end = size * number // towers, size * (number + 1) // towers
        # TensorFlow's convolutions cannot take an empty batch: where a tower is left without an
        # image it takes one, divided by infinity.
        batch = tf.where(end > first, tf.cast(size, tf.float32), np.inf)
        own = slice(first, tf.maximum(end, first + 1))
        return tower(inputs[own], expected[own], batch, number)

    # Only what loops in the graph needs AutoGraph, which takes longer than all the tracing.
    @tf.autograph.experimental.do_not_convert
    def train_step(inputs: tf.Tensor, expected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parts = [part(inputs, expected, k) for k in range(towers)]
        losses, hits, gradients = zip(*parts, strict=True)
        optimizer.apply([tf.add_n(same) for same in zip(*gradients, strict=True)], variables)
        return tf.add_n(losses), tf.add_n(hits)

    @tf.function(
        input_signature=[
            tf.TensorSpec(train.images.shape, tf.uint8),
            tf.TensorSpec(train.labels.shape, tf.int32),
            tf.TensorSpec([len(train)], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([None], tf.float32),
        ]
    )
    def train_steps(
        images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, first: tf.Tensor, rates: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.size(rates)
        losses = tf.TensorArray(tf.float32, count)
        accuracies = tf.TensorArray(tf.float32, count)
        for i in tf.range(count):
            start = (first + i) * batch_size
            optimizer.learning_rate.assign(rates[i])
            indices = order[start : start + batch_size]
            loss, accuracy = train_step(tf.gather(images, indices), tf.gather(labels, indices))
            losses = losses.write(i, loss)
            accuracies = accuracies.write(i, accuracy)
        return losses.stack(), accuracies.stack()

    @tf.autograph.experimental.do_not_convert
    def evaluate_batch(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits, _ = model(to_float(tf.gather(test_images, indices)), training=False)
        loss, hits = loss_and_hits(logits, tf.gather(test_labels, indices))
        return (
            tf.reduce_sum(tf.cast(loss, tf.float64)),
            tf.reduce_sum(tf.cast(hits, tf.float64)),
        )

    at_once = images_at_once(test.images)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def evaluate(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        total_loss = tf.constant(0.0, tf.float64)
        total_hits = tf.constant(0.0, tf.float64)
        count = tf.size(indices)
        for start in tf.range(0, count, at_once):
            loss, hits = evaluate_batch(indices[start : start + at_once])
            total_loss += loss
            total_hits += hits
        return total_loss / tf.cast(count, tf.float64), total_hits / tf.cast(count, tf.float64)

    def one_step_graph() -> tf.Graph:
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, *train.images.shape[1:]], tf.uint8, "images"),
                tf.TensorSpec([None], tf.int32, "labels"),
            ],
            autograph=False,
        )
        def train_step_on_one_tower(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            with tf.name_scope("batch_size"):
                size = tf.cast(tf.shape(labels)[0], tf.float32)
            loss, _, gradients = tower(images, labels, size)
            with tf.name_scope("optimizer"):
                optimizer.apply(gradients, variables)
            return loss

        return train_step_on_one_tower.get_concrete_function().graph

    probe_images, probe_labels = tf.constant(probe.images), tf.constant(probe.labels)
    shown_image = tf.constant(probe.shown[None])

    @tf.function(input_signature=[], autograph=False)
    def inspect() -> dict[str, dict[str, Any]]:
        layers = model.weight_layers
        with tf.GradientTape(persistent=True) as tape:
            outputs, before = model.forward(to_float(probe_images))
            losses, _ = loss_and_hits(outputs[model.logits_layer], probe_labels)
            loss = tf.reduce_mean(losses)
        kernels = [layer.kernel for layer in layers.values()]
        biases = [layer.bias for layer in layers.values()]
        # Each output depends on its own pre-activation alone, so this is the slope of the
        # activation function there.
        slopes: dict[str, Any] = {
            name: tape.gradient(outputs[name], before[name]) for name in layers
        }
        shown, shown_before = model.forward(to_float(shown_image))
        convolutions = [name for name in layers if len(shown[name].shape) == 4]
        return {
            "kernel_gradient": dict(zip(layers, tape.gradient(loss, kernels), strict=True)),
            "bias_gradient": dict(zip(layers, tape.gradient(loss, biases), strict=True)),
            "activation": {name: outputs[name] for name in layers},
            "dead_fraction": {name: dead_fraction(outputs[name]) for name in layers},
            "saturated_fraction": {
                name: tf.reduce_mean(tf.cast(tf.abs(slope) < SATURATED_SLOPE, tf.float32))
                for name, slope in slopes.items()
            },
            "feature_maps": {name: shown[name][0] for name in convolutions},
            "pre_activations": {name: shown_before[name][0] for name in convolutions},
        }

    # The images come in as arguments: TensorFlow never frees a graph in which a Keras optimizer
    # was applied, and so would never free images that it holds.
    return Steps(partial(train_steps, images, labels), evaluate, one_step_graph, inspect)


def loss_and_hits(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Per image: the cross-entropy in nats, and 1.0 where the largest logit is the label's."""
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    predicted = tf.argmax(logits, axis=1, output_type=tf.int32)
    return loss, tf.cast(tf.equal(predicted, labels), tf.float32)


def dead_fraction(activation: tf.Tensor) -> tf.Tensor:
    """The share of units that give one and the same output for all images, everywhere.

    Args:
        activation: float32 [n, …, units]; in a convolution a unit is a kernel.

    Returns:
        float32 [], from 0 to 1.
    """
    # Over the images first: that runs along memory, and is twenty times as fast.
    most, least = tf.reduce_max(activation, 0), tf.reduce_min(activation, 0)
    places = list(range(len(activation.shape) - 2))
    span = tf.reduce_max(most, places) - tf.reduce_min(least, places)
    return tf.reduce_mean(tf.cast(span <= DEAD_RANGE, tf.float32))
