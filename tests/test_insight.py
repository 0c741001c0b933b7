"""Insight into one image is what the network computes, and its heat maps are correct."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lenet.config import TrainConfig
from lenet.data.datasets import Dataset


@pytest.fixture(scope="module")
def model(learned: Any) -> Any:
    """A network that has learned the bundled digits."""
    return learned.model


def test_every_layer_is_there_with_its_output(model: Any, digits: Dataset) -> None:
    from lenet.analysis.insight import look_inside
    from lenet.analysis.trained import layer_outputs, predict

    images = digits.test.images[:1]
    insight = look_inside(model, images[0])
    assert {name: maps.shape for name, maps in insight.convolutions.items()} == {
        "conv1": (28, 28, 6),
        "conv2": (10, 10, 16),
    }
    assert {name: values.shape for name, values in insight.dense.items()} == {
        "fc1": (120,),
        "fc2": (84,),
    }
    for name, values in (insight.convolutions | insight.dense).items():
        assert np.array_equal(values, layer_outputs(model, images, name)[0])
    assert np.allclose(insight.logits, predict(model, images)[0][0], atol=1e-5)
    assert insight.probabilities.sum() == pytest.approx(1)
    assert insight.predicted == insight.logits.argmax()
    assert insight.activations == dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), "relu")


def test_contributions_add_up_to_the_logit(model: Any, digits: Dataset) -> None:
    from lenet.analysis.insight import look_inside

    for image in digits.test.images[:5]:
        insight = look_inside(model, image)
        bias = model.fc3.bias.numpy()[insight.predicted]
        assert insight.contributions.sum() + bias == pytest.approx(insight.logits.max(), rel=1e-4)


@pytest.mark.parametrize("patch", [1, 4, 7])
def test_occlusion_hides_what_is_around_each_pixel(model: Any, digits: Dataset, patch: int) -> None:
    from lenet.analysis.insight import occlude
    from lenet.analysis.trained import predict, softmax

    image = digits.test.images[3]
    heat = occlude(model, image, 2, patch)
    assert heat.shape == (28, 28)
    for row, column in ((0, 0), (14, 13), (27, 5), (3, 27)):
        hidden = image.copy()
        top, left = row - patch // 2, column - patch // 2
        hidden[max(0, top) : top + patch, max(0, left) : left + patch] = 128
        expected = softmax(predict(model, hidden[None])[0])[0, 2]
        assert heat[row, column] == pytest.approx(expected, abs=1e-5)
    assert np.array_equal(image, digits.test.images[3])


def test_saliency_is_how_fast_the_logit_changes(model: Any, digits: Dataset) -> None:
    from lenet.analysis.insight import saliency_of

    image = digits.test.images[3]
    saliency = saliency_of(model, image, 2)
    assert saliency.shape == (28, 28)
    pixels = (image[None] / 255).astype(np.float32)
    for row, column in ((14, 14), (10, 12), (20, 9)):
        logits = []
        for step in (-1e-3, 1e-3):
            changed = pixels.copy()
            changed[0, row, column] += step
            logits.append(float(model(changed)[0][0, 2]))
        slope = abs(logits[1] - logits[0]) / 2e-3
        assert saliency[row, column] == pytest.approx(slope, rel=0.05, abs=0.02)


def test_large_images_in_colour_are_hidden_at_fewer_positions() -> None:
    from lenet.analysis.insight import look_inside, occlude, saliency_of
    from lenet.networks.architectures import build_model

    config = TrainConfig(activation="tanh", fc2_activation="sigmoid").resolved(400)
    model = build_model(config, (58, 58, 3), 3)
    image = np.random.default_rng(0).integers(0, 255, (58, 58, 3), dtype=np.uint8)
    insight = look_inside(model, image)
    assert insight.activations["fc1"] == "tanh"
    assert insight.activations["fc2"] == "sigmoid"
    heat = occlude(model, image, 1, 15)
    assert heat.shape == saliency_of(model, image, 1).shape == (58, 58)
    assert np.array_equal(heat[::2], heat[1::2])
    assert np.array_equal(heat[:, ::2], heat[:, 1::2])
    assert np.ptp(heat) > 0
