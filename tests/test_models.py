"""The network against its published sizes and a forward pass written out in NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lenet.analysis.trained import layer_outputs
from lenet.config import TrainConfig
from lenet.networks.architectures import LeNet, build_model
from lenet.networks.slopes import greatest_slope
from lenet.registry import ACTIVATIONS

LAYERS = ["conv1", "conv2", "fc1", "fc2", "fc3"]
IMAGES = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)


def kernels(model: LeNet) -> dict[str, np.ndarray]:
    """Every kernel as NumPy sees it."""
    return {name: np.asarray(layer.kernel) for name, layer in model.weight_layers.items()}


@pytest.mark.parametrize(
    ("activation", "slope"), [("sigmoid", 0.25), ("tanh", 1), ("relu", 1), ("selu", 1.758)]
)
def test_the_greatest_slope_of_an_activation_is_measured(activation: str, slope: float) -> None:
    assert greatest_slope(keras.activations.get(activation)) == pytest.approx(slope, abs=0.003)


def test_it_has_the_published_number_of_parameters() -> None:
    assert LeNet().num_parameters == LeNet(mean=[0.1]).num_parameters == 61_706


def test_it_gives_logits_and_fc2() -> None:
    logits, features = LeNet()(IMAGES)
    assert (logits.shape, features.shape) == ((4, 10), (4, 84))


def test_layers_with_weights_come_in_order() -> None:
    model = LeNet()
    assert list(model.weight_layers) == LAYERS
    shapes = {name: kernel.shape for name, kernel in kernels(model).items()}
    assert shapes == {
        "conv1": (5, 5, 1, 6),
        "conv2": (5, 5, 6, 16),
        "fc1": (400, 120),
        "fc2": (120, 84),
        "fc3": (84, 10),
    }


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_what_the_call_computes(activation: str) -> None:
    model = LeNet(activation=activation)
    logits, features = model(IMAGES)
    outputs = model.activations(tf.constant(IMAGES))
    assert list(outputs) == ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3"]
    np.testing.assert_array_equal(outputs["fc3"], logits)
    np.testing.assert_array_equal(outputs["fc2"], features)
    shapes = {name: tuple(output.shape[1:]) for name, output in outputs.items()}
    assert shapes["conv1"] == (28, 28, 6)
    assert shapes["pool1"] == (14, 14, 6)
    assert shapes["conv2"] == (10, 10, 16)
    assert shapes["pool2"] == (5, 5, 16)


def convolve(images: np.ndarray, layer: Any) -> np.ndarray:
    """A valid convolution, written out."""
    kernel = np.asarray(layer.kernel)
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nyxcij,ijck->nyxk", windows, kernel) + np.asarray(layer.bias)


def pool(images: np.ndarray) -> np.ndarray:
    """The greatest of every 2x2 pixels."""
    n, height, width, channels = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def test_the_forward_pass_is_that_of_the_paper() -> None:
    model = LeNet(activation="tanh", init_bias=0.1)
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    values = pool(np.tanh(convolve(padded, model.conv1)))
    values = pool(np.tanh(convolve(values, model.conv2))).reshape(4, -1)
    for layer in (model.fc1, model.fc2):
        values = np.tanh(values @ np.asarray(layer.kernel) + np.asarray(layer.bias))
    logits, features = model(IMAGES)
    np.testing.assert_allclose(features, values, rtol=1e-4, atol=1e-5)
    values = values @ np.asarray(model.fc3.kernel) + np.asarray(model.fc3.bias)
    np.testing.assert_allclose(logits, values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_applied_to_every_layer_but_the_last(activation: str) -> None:
    model = LeNet(activation=activation)
    function = keras.activations.get(activation)
    outputs, before = model.forward(tf.constant(IMAGES))
    assert list(before) == LAYERS
    for name in LAYERS[:-1]:
        np.testing.assert_array_equal(outputs[name], function(before[name]))
        assert np.isfinite(outputs[name]).all()
        assert not np.array_equal(outputs[name], before[name])
    np.testing.assert_array_equal(outputs["fc3"], before["fc3"])


def test_fc2_can_have_an_activation_of_its_own() -> None:
    outputs, before = LeNet(activation="relu", fc2_activation="sigmoid").forward(
        tf.constant(IMAGES)
    )
    np.testing.assert_array_equal(outputs["fc2"], tf.sigmoid(before["fc2"]))
    for name in ("conv1", "conv2", "fc1"):
        np.testing.assert_array_equal(outputs[name], tf.nn.relu(before[name]))


def test_colour_images_and_other_classes_change_the_ends_alone() -> None:
    model = LeNet(image_shape=(32, 40, 3), num_classes=7)
    logits, features = model(np.zeros((2, 32, 40, 3), np.float32))
    assert (logits.shape, features.shape) == ((2, 7), (2, 84))
    assert kernels(model)["conv1"].shape == (5, 5, 3, 6)


@pytest.mark.parametrize("shape", [(11, 28, 1), (28, 11, 1), (8, 8, 1)])
def test_images_too_small_for_it_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"at least 12x12 pixels.*{shape[0]}x{shape[1]}"):
        LeNet(image_shape=shape)


def test_the_smallest_images_still_fit() -> None:
    logits, _ = LeNet(image_shape=(12, 13, 1))(np.zeros((1, 12, 13, 1), np.float32))
    assert logits.shape == (1, 10)


class TestFirstWeights:
    """How kernels and biases are drawn."""

    def test_truncated_normal_has_its_deviation_and_its_bias(self) -> None:
        config = TrainConfig(init="truncated_normal", init_stddev=0.2).resolved(60_000)
        model = build_model(config, (28, 28, 1), 10)
        for layer in model.weight_layers.values():
            np.testing.assert_array_equal(layer.bias, np.float32(0.1))
        kernel = np.asarray(model.weight_layers["fc1"].kernel)
        # Of a normal distribution cut at two deviations, 0.88 of the deviation is left.
        assert abs(kernel.std() / (0.8796 * 0.2) - 1) < 0.01
        assert abs(kernel.mean()) < 0.005
        assert np.abs(kernel).max() <= 0.4

    def test_glorot_uniform_fills_its_range(self) -> None:
        kernel = kernels(LeNet())["fc1"]
        limit = np.sqrt(6 / (400 + 120))
        assert 0.99 * limit < np.abs(kernel).max() <= limit

    def test_he_normal_has_its_deviation(self) -> None:
        kernel = kernels(LeNet(init="he_normal"))["fc1"]
        assert abs(kernel.std() / np.sqrt(2 / 400) - 1) < 0.01

    @pytest.mark.parametrize("init", ["glorot_uniform", "he_normal"])
    def test_biases_start_at_nothing_unless_told_otherwise(self, init: Any) -> None:
        for bias, options in ((0.0, {}), (0.5, {"init_bias": 0.5})):
            config = TrainConfig(init=init, **options).resolved(60_000)
            model = build_model(config, (28, 28, 1), 10)
            for layer in model.weight_layers.values():
                np.testing.assert_array_equal(layer.bias, np.float32(bias))

    @pytest.mark.parametrize("init", ["glorot_uniform", "he_normal", "truncated_normal"])
    def test_networks_with_other_activations_start_alike(self, init: str) -> None:
        relu = kernels(LeNet(activation="relu", init=init, seed=3))
        sigmoid = kernels(LeNet(activation="sigmoid", fc2_activation="elu", init=init, seed=3))
        for name in LAYERS:
            np.testing.assert_array_equal(relu[name], sigmoid[name])

    def test_another_layer_before_it_does_not_redraw_a_layer(self) -> None:
        class Longer(LeNet):
            def stack(self) -> list[keras.layers.Layer]:
                return [self.conv_layer("conv0", 1, 3), *super().stack()]

        drawn, longer = kernels(LeNet(seed=2)), kernels(Longer(seed=2))
        for name in LAYERS:
            np.testing.assert_array_equal(drawn[name], longer[name])

    def test_seeds_and_layers_draw_differently(self) -> None:
        first, second = kernels(LeNet(seed=0)), kernels(LeNet(seed=1))
        assert not any(np.array_equal(first[name], second[name]) for name in LAYERS)
        square = LeNet(image_shape=(28, 28, 1), num_classes=84)
        drawn = kernels(square)
        assert not np.array_equal(drawn["fc2"][:84, :84], drawn["fc3"])


class TestInput:
    """What a user has is taken; what would be wrong without a word is refused in one line."""

    def test_uint8_images_give_the_same_bits_as_their_fractions(self) -> None:
        model = LeNet(mean=[0.3])
        images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
        as_floats = tf.cast(images, tf.float32) / 255.0
        for found, expected in zip(model(images), model(as_floats), strict=True):
            np.testing.assert_array_equal(found, expected)
        expected = model.activations(as_floats)
        for name, found in model.activations(images).items():
            np.testing.assert_array_equal(found, expected[name])

    @pytest.mark.parametrize(
        ("images", "reason"),
        [
            (255 * IMAGES, "floats from 0 to 1 .divide by 255.. Received: float32 values from 0"),
            (IMAGES - 0.5, "Received: float32 values from -0.4"),
            (np.full_like(IMAGES, np.nan), "Received: float32 values from nan to nan"),
            ((255 * IMAGES).astype(np.int64), "Received: int64 values"),
            (IMAGES[0], r"images of shape \[n, 28, 28, 1\]. Received: \(28, 28, 1\)"),
            (IMAGES[..., 0], r"Received: \(4, 28, 28\)"),
        ],
    )
    def test_other_values_and_shapes_are_one_clear_error(
        self, images: np.ndarray, reason: str
    ) -> None:
        model = LeNet()
        for use in (model, model.activations):
            with pytest.raises(ValueError, match=reason) as caught:
                use(images)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 200

    def test_a_layer_that_does_not_exist_names_those_that_do(self) -> None:
        names = "conv1, pool1, conv2, pool2, fc1, fc2, fc3"
        with pytest.raises(ValueError, match=f"one of {names}. Received: 'conv9'"):
            layer_outputs(LeNet(), IMAGES, "conv9")

    def test_compiled_code_checks_only_the_shape(self) -> None:
        model = LeNet()
        compiled = tf.function(lambda images: model(images)[0])
        np.testing.assert_allclose(compiled(IMAGES), model(IMAGES)[0], atol=1e-6)
        nodes = [
            node.op for node in compiled.get_concrete_function(IMAGES).graph.as_graph_def().node
        ]
        assert not {"Min", "Max", "Assert"} & set(nodes)
