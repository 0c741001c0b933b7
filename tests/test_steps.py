"""The compiled functions against the plainest Keras loop, and against NumPy."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from lenet.data.datasets import Dataset
from lenet.data.sampling import choose_probe, epoch_order, evaluation_indices
from lenet.networks.architectures import LeNet
from lenet.networks.optimizers import build_optimizer
from lenet.training.inspector import ProbeInspector
from lenet.training.steps import Steps

RATE = 0.05


def compiled(
    dataset: Dataset, batch_size: int, towers: int, optimizer: str = "sgd"
) -> tuple[LeNet, Steps]:
    """A fresh network and its compiled functions."""
    model = LeNet(dataset.image_shape, len(dataset.class_names), activation="tanh", seed=1)
    steps = Steps(
        model,
        build_optimizer(optimizer, RATE),
        dataset.train,
        dataset.test,
        batch_size=batch_size,
        towers=towers,
    )
    return model, steps


def run(steps: Steps, order: np.ndarray, first: int, rates: list[float]) -> np.ndarray:
    """Makes some steps in one call; returns losses and accuracies as [2, k]."""
    return np.stack(steps.train(tf.constant(order), first=first, rates=np.array(rates, np.float32)))


def plain_loop(
    dataset: Dataset, order: np.ndarray, batch_size: int, rates: list[float], optimizer: str
) -> tuple[LeNet, np.ndarray]:
    """One epoch as any tutorial writes it: a batch, a tape, Keras's own loss and optimizer."""
    model = LeNet(dataset.image_shape, len(dataset.class_names), activation="tanh", seed=1)
    chosen = build_optimizer(optimizer, RATE)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    results = []
    for step, rate in enumerate(rates):
        batch = order[step * batch_size : (step + 1) * batch_size]
        images, labels = dataset.train.images[batch] / np.float32(255), dataset.train.labels[batch]
        with tf.GradientTape() as tape:
            logits, _ = model(images, training=True)
            loss = loss_of(labels, logits)
        chosen.learning_rate = rate
        gradients = tape.gradient(loss, model.trainable_variables)
        chosen.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        results.append((float(loss), np.mean(np.argmax(logits, 1) == labels)))
    return model, np.array(results).T


def assert_close(one: LeNet, other: LeNet, tolerance: float = 1e-6) -> None:
    """Compares two networks up to the order of their sums."""
    for mine, theirs in zip(one.variables, other.variables, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=tolerance, err_msg=mine.path)


@pytest.mark.parametrize(
    ("size", "batch_size", "optimizer", "tolerance"),
    [
        pytest.param(64, 32, "sgd", 1e-6, id="even batches"),
        pytest.param(70, 32, "sgd", 1e-6, id="a smaller last batch"),
        pytest.param(65, 32, "sgd", 1e-6, id="a last batch of one"),
        pytest.param(5, 1, "sgd", 1e-6, id="batches of one"),
        # Adam makes of the rounding of a gradient next to nothing a good part of a whole step.
        pytest.param(70, 32, "adam", 1e-4, id="adam"),
    ],
)
def test_one_call_equals_a_plain_keras_loop(
    make_dataset: Callable[..., Dataset],
    size: int,
    batch_size: int,
    optimizer: str,
    tolerance: float,
) -> None:
    dataset = make_dataset(train=size)
    order = epoch_order(0, 0, size)
    rates = [RATE / (1 + step) for step in range(-(-size // batch_size))]
    expected_model, expected = plain_loop(dataset, order, batch_size, rates, optimizer)
    model, steps = compiled(dataset, batch_size, towers=2, optimizer=optimizer)
    found = run(steps, order, 0, rates)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=tolerance)
    assert_close(model, expected_model, tolerance)


def test_any_cut_into_calls_gives_the_same_bits(tiny: Dataset) -> None:
    order, rates = epoch_order(0, 0, 70), [0.1, 0.2, 0.3]
    whole, steps = compiled(tiny, 32, towers=2)
    expected = run(steps, order, 0, rates)
    cut, steps = compiled(tiny, 32, towers=2)
    found = [run(steps, order, 0, rates[:1]), run(steps, order, 1, rates[1:])]
    np.testing.assert_array_equal(np.concatenate(found, axis=1), expected)
    for mine, theirs in zip(whole.variables, cut.variables, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("towers", [1, 3])
def test_the_number_of_towers_changes_nothing_but_rounding(tiny: Dataset, towers: int) -> None:
    order, rates = epoch_order(0, 0, 70), [RATE] * 3
    expected_model, steps = compiled(tiny, 32, towers=2)
    expected = run(steps, order, 0, rates)
    model, steps = compiled(tiny, 32, towers)
    np.testing.assert_allclose(run(steps, order, 0, rates), expected, rtol=1e-4, atol=1e-6)
    assert_close(model, expected_model)


def test_the_evaluation_is_exact_over_the_whole_test_set(
    make_dataset: Callable[..., Dataset],
) -> None:
    dataset = make_dataset(test=1203)
    model, steps = compiled(dataset, 32, towers=2)
    run(steps, epoch_order(0, 0, 70), 0, [RATE] * 3)
    logits = model(dataset.test.images / np.float32(255))[0].numpy().astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    labels = dataset.test.labels
    loss, accuracy, evaluated = steps.evaluate(np.arange(len(labels), dtype=np.int32))
    np.testing.assert_allclose(evaluated, logits, rtol=1e-4, atol=1e-5)
    assert accuracy == np.mean(logits.argmax(1) == labels)
    expected = -log_probabilities[np.arange(len(labels)), labels].mean()
    assert abs(loss - expected) < 1e-6


def test_an_evaluation_of_some_images_is_of_those(tiny: Dataset) -> None:
    model, steps = compiled(tiny, 32, towers=2)
    chosen = evaluation_indices(0, 5, len(tiny.test), 7)
    assert len(set(chosen.tolist())) == 7
    _, accuracy, _ = steps.evaluate(chosen)
    logits = model(tiny.test.images[chosen] / np.float32(255))[0].numpy()
    assert accuracy == np.mean(logits.argmax(1) == tiny.test.labels[chosen])


def test_looking_changes_no_weight(tiny: Dataset) -> None:
    model, steps = compiled(tiny, 32, towers=2)
    before = [np.asarray(variable).copy() for variable in model.variables]
    steps.evaluate(np.arange(3, dtype=np.int32))
    ProbeInspector(model, choose_probe(tiny.train, tiny.test)).inspect(0)
    steps.one_step_graph()
    for expected, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(variable, expected)


def test_the_graph_for_a_person_names_the_layers_and_has_no_loop(tiny: Dataset) -> None:
    _, steps = compiled(tiny, 32, towers=2)
    nodes = [node.name for node in steps.one_step_graph().as_graph_def().node]
    for name in ("conv1", "conv2", "fc1", "fc2", "fc3", "optimizer"):
        assert any(name in node for node in nodes)
    assert not any("while" in node for node in nodes)
