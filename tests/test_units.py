"""What each unit looks for, and which pixels an answer depends on, against plain calculations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lenet.analysis import attribution, units
from lenet.analysis.trained import predict
from lenet.data.datasets import Dataset
from lenet.figures import units as drawing
from lenet.networks.architectures import MODELS
from lenet.networks.classifier import Classifier
from lenet.networks.inputs import to_float
from lenet.recording import checkpoints, inspections, runs

if TYPE_CHECKING:
    from lenet.training.trainer import Trainer

SHAPE = (28, 28, 1)


def before(model: Classifier, images: np.ndarray, layer: str) -> np.ndarray:
    return model.forward(to_float(images))[1][layer].numpy()


class TestTopImages:
    @pytest.mark.parametrize("layer", ["conv1", "conv2", "fc1", "fc3"])
    def test_they_are_those_of_a_plain_search(
        self, layer: str, learned: Trainer, digits: Dataset
    ) -> None:
        images = digits.test.images[:150]
        found = units.top_images(learned.model, images, layer)
        values = before(learned.model, images, layer)
        if values.ndim == 2:
            values = values[:, None, None]
        for unit in range(values.shape[-1]):
            highest = [float(each[..., unit].max()) for each in values]
            expected = sorted(range(len(images)), key=lambda n: -highest[n])[:9]
            assert found.indices[unit].tolist() == expected
            np.testing.assert_allclose(found.values[unit], [highest[n] for n in expected], 1e-5)

    @pytest.mark.parametrize("name", ["lenet", "conv3", "conv4"])
    def test_a_value_depends_on_its_patch_and_on_nothing_else(self, name: str) -> None:
        model = MODELS[name]((64, 64, 1), activation="tanh")
        random = np.random.default_rng(0)
        image = random.integers(0, 256, (1, 64, 64, 1)).astype(np.uint8)
        for layer in [n for n, each in model.weight_layers.items() if each.kernel.ndim == 4]:
            start, jump, (side, _) = units.receptive_field(model, layer, (64, 64))
            values = before(model, image, layer)
            row = values.shape[1] // 2
            top = start + jump * row
            inside = np.zeros((64, 64), bool)
            inside[max(0, top) : top + side, max(0, top) : top + side] = True
            outside = np.where(inside[None, ..., None], image, 255 - image)
            np.testing.assert_allclose(
                before(model, outside, layer)[0, row, row], values[0, row, row], atol=1e-5
            )
            for edge in (top, top + side - 1):
                if 0 <= edge < 64:
                    moved = image.copy()
                    moved[0, edge, edge] = 255 - moved[0, edge, edge]
                    assert (before(model, moved, layer)[0, row, row] != values[0, row, row]).any()

    def test_patches_are_cut_out_and_gray_outside(self) -> None:
        images = np.arange(2 * 16, dtype=float).reshape(2, 4, 4, 1) / 100
        cut = drawing.cut_out(images, np.array([[1, 2], [-1, -1]]), (2, 2))
        assert cut[0, ..., 0].tolist() == [[0.06, 0.07], [0.10, 0.11]]
        assert cut[1, ..., 0].tolist() == [[0.75, 0.75], [0.75, 0.16]]


class TestMaximization:
    @pytest.mark.parametrize("layer", ["conv2", "fc3"])
    def test_the_image_excites_its_unit_more_than_any_test_image(
        self, layer: str, learned: Trainer, digits: Dataset
    ) -> None:
        chosen = np.array([1, 4])
        images = units.maximize(learned.model, layer, chosen, SHAPE)
        assert images.shape == (2, *SHAPE)
        assert images.min() >= 0
        assert images.max() <= 1
        computed = before(learned.model, np.round(255 * images).astype(np.uint8), layer)
        real = before(learned.model, digits.test.images[:100], layer)
        if computed.ndim == 4:
            computed = computed[:, computed.shape[1] // 2, computed.shape[2] // 2]
            real = real.max((1, 2))
        for position, unit in enumerate(chosen):
            assert computed[position, unit] > real[:, unit].max()

    def test_the_same_seed_gives_the_same_image(self, learned: Trainer) -> None:
        first, second = (
            units.maximize(learned.model, "conv1", np.array([0]), SHAPE, seed=3) for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)

    def test_recorded_weights_are_used_and_given_back(
        self, learned: Trainer, digits: Dataset
    ) -> None:
        hashed = checkpoints.weights_sha256(learned.model)
        recorded = inspections.load_all(learned.history.run / runs.INSPECTIONS)
        step = min(recorded)
        now = predict(learned.model, digits.test.images[:5])[0]
        with units.recorded_weights(learned.model, recorded[step]):
            then = predict(learned.model, digits.test.images[:5])[0]
            kernel = learned.model.weight_layers["conv1"].kernel.numpy()
            np.testing.assert_array_equal(kernel, recorded[step]["conv1/kernel"])
        assert not np.allclose(now, then)
        assert checkpoints.weights_sha256(learned.model) == hashed


class TestAttribution:
    def test_integrated_gradients_add_up_to_the_difference_of_the_logits(
        self, learned: Trainer, digits: Dataset
    ) -> None:
        for image in digits.test.images[:5]:
            ends = np.stack([np.zeros_like(image), image])
            logits = predict(learned.model, ends)[0]
            label = int(logits[1].argmax())
            values, error = attribution.integrated_gradients(learned.model, image, label)
            difference = logits[1, label] - logits[0, label]
            assert error == pytest.approx(
                abs(values.sum() - difference) / abs(difference), rel=0.01
            )
            assert error < 0.02

    def test_all_methods_are_compared_with_random_weights(
        self, learned: Trainer, digits: Dataset
    ) -> None:
        hashed = checkpoints.weights_sha256(learned.model)
        found = attribution.attribute(learned.model, digits.test.images[0], 3)
        names = ["gradient", "SmoothGrad", "integrated gradients", "Grad-CAM", "occlusion"]
        assert [each.method for each in found] == names
        assert all(each.values.shape == (28, 28) for each in found)
        assert all(-1 <= each.sanity <= 1 for each in found)
        assert found[0].sanity < 0.8  # The gradient depends on what the network has learned.
        assert checkpoints.weights_sha256(learned.model) == hashed

    def test_a_pixel_that_the_gradient_names_changes_the_logit_most(
        self, learned: Trainer, digits: Dataset
    ) -> None:
        image = digits.test.images[1]
        slopes = attribution.gradient(learned.model, image, 2)
        image = np.clip(image, 1, 254)
        row, column = np.unravel_index(np.abs(slopes).argmax(), slopes.shape)
        pair = np.stack([image, image])
        pair[1, row, column, 0] += 1
        logits = predict(learned.model, pair)[0][:, 2]
        slope = attribution.gradient(learned.model, image, 2)[row, column]
        assert 255 * (logits[1] - logits[0]) == pytest.approx(slope, rel=0.2)

    def test_two_maps_that_have_the_same_order_are_similar(self) -> None:
        values = np.random.default_rng(0).normal(size=(5, 5))
        assert attribution.similarity(values, -3 * values) == pytest.approx(1)
        assert attribution.similarity(values, np.zeros((5, 5))) == 0
        assert attribution.similarity(np.zeros((5, 5)), np.zeros((5, 5))) == 0

    def test_pixels_that_are_0_in_both_maps_do_not_make_them_similar(self) -> None:
        one, other = np.random.default_rng(1).normal(size=(2, 20, 20))
        alone = attribution.similarity(one, other)
        assert abs(alone) < 0.2
        framed, framed_other = np.pad(one, 20), np.pad(other, 20)
        assert attribution.similarity(framed, framed_other) == pytest.approx(alone)
        framed_other[0, 0] = 9  # Now one map says something here, so the pixel counts.
        assert attribution.similarity(framed, framed_other) < alone
