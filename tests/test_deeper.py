"""conv3 and conv4: their sizes, dropout and augmentation, and whole runs in colour."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lenet.analysis.trained import load_run
from lenet.data.datasets import channel_mean
from lenet.diagnostics import DIAGNOSTICS
from lenet.networks.architectures import Conv3, Conv4, LeNet
from lenet.networks.classifier import Classifier
from lenet.recording import events

if TYPE_CHECKING:
    from lenet import Trainer
    from lenet.data.datasets import Dataset

RNG = np.random.default_rng(0)
COLOURED = RNG.random((6, 16, 16, 3), np.float32)
CONVOLUTIONS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2")
CURES: dict[str, Any] = {"conv_dropout": 0.25, "fc_dropout": 0.5, "augment": ("flip", "rotate")}


class TestSizes:
    """Layer by layer, as their sources have them."""

    def test_conv3_on_mnist(self) -> None:
        model = Conv3()
        shapes = {name: layer.kernel.shape for name, layer in model.weight_layers.items()}
        assert shapes == {
            "conv1": (5, 5, 1, 32),
            "conv2": (5, 5, 32, 48),
            "conv3": (5, 5, 48, 64),
            "fc1": (7 * 7 * 64, 1024),
            "fc2": (1024, 10),
        }
        assert model.count_params() == 3_338_682

    def test_conv4_in_colour(self) -> None:
        model = Conv4((64, 64, 3), 2)
        shapes = {name: layer.kernel.shape for name, layer in model.weight_layers.items()}
        assert shapes == {
            "conv1_1": (3, 3, 3, 32),
            "conv1_2": (3, 3, 32, 32),
            "conv2_1": (3, 3, 32, 64),
            "conv2_2": (3, 3, 64, 64),
            "fc1": (16 * 16 * 64, 512),
            "fc2": (512, 2),
        }

    @pytest.mark.parametrize(("kind", "features"), [(LeNet, 84), (Conv3, 1024), (Conv4, 512)])
    def test_every_network_takes_small_colour_images(
        self, kind: type[Classifier], features: int
    ) -> None:
        images = RNG.random((5, 32, 32, 3), np.float32)
        logits, found = kind((32, 32, 3), 10)(images)
        assert (logits.shape, found.shape) == ((5, 10), (5, features))

    def test_no_separate_activation_for_the_logits(self) -> None:
        with pytest.raises(ValueError, match="no fc2_activation with model 'conv3'"):
            Conv3(fc2_activation="sigmoid")

    @pytest.mark.parametrize(("kind", "biases"), [(Conv3, (0.1, 0.1)), (Conv4, (0.0, 1.0))])
    def test_starts_as_in_its_source(
        self, kind: type[Classifier], biases: tuple[float, float]
    ) -> None:
        model = kind((16, 16, 3), 2, init="source")
        for name, layer in model.weight_layers.items():
            kernel = np.asarray(layer.kernel)
            assert np.abs(kernel).max() <= 0.2, "cut at two standard deviations"
            # A normal cut there keeps 0.88 of its standard deviation.
            assert kernel.size < 2000 or abs(kernel.std() - 0.088) < 0.004
            assert np.unique(layer.bias) == np.float32(biases[name.startswith("fc")])


class TestDropout:
    """What training leaves out, and that it is decided by the seed alone."""

    def dropped(self, rate: float = 0.5, seed: tuple[int, int] = (0, 1)) -> np.ndarray:
        """The features of one network, which dropout comes behind, from the layer after it."""
        model = Conv4((16, 16, 3), 2, fc_dropout=rate, activation="sigmoid")
        outputs, _ = model.forward(COLOURED, True, tf.constant(seed))
        return np.asarray(outputs["dropout3"])

    @pytest.mark.parametrize("rate", [0.25, 0.5, 0.8])
    def test_it_drops_that_share_and_raises_the_rest(self, rate: float) -> None:
        model = Conv4((16, 16, 3), 2, fc_dropout=rate, activation="sigmoid")
        outputs, _ = model.forward(COLOURED, True, tf.constant((0, 1)))
        before, after = np.asarray(outputs["fc1"]), np.asarray(outputs["dropout3"])
        assert abs((after == 0).mean() - rate) < 0.04
        kept = after != 0
        np.testing.assert_allclose(after[kept], before[kept] / (1 - rate), rtol=1e-6)

    def test_the_seed_decides(self) -> None:
        assert np.array_equal(self.dropped(), self.dropped())
        assert not np.array_equal(self.dropped(), self.dropped(seed=(0, 2)))
        assert not np.array_equal(self.dropped(), self.dropped(seed=(1, 1)))

    def test_layers_do_not_drop_the_same_places(self) -> None:
        model = LeNet((32, 32, 3), conv_dropout=0.5, fc_dropout=0.5, activation="sigmoid")
        images = RNG.random((40, 32, 32, 3), np.float32)
        outputs, _ = model.forward(images, True, tf.constant((0, 1)))
        first = np.asarray(outputs["dropout3"])[:, :84] == 0
        second = np.asarray(outputs["dropout4"]) == 0
        assert abs((first & second).mean() - 0.25) < 0.03, "independent, that is"

    def test_evaluation_drops_nothing(self) -> None:
        model = Conv4((16, 16, 3), 2, conv_dropout=0.5, fc_dropout=0.5)
        bare = Conv4((16, 16, 3), 2)
        for mine, other in zip(bare.trainable_variables, model.trainable_variables, strict=True):
            mine.assign(other.value)
        np.testing.assert_array_equal(model(COLOURED)[0], bare(COLOURED)[0])


class TestMean:
    """The mean of each channel, subtracted from the images inside the network."""

    def test_it_is_subtracted_first(self) -> None:
        mean = (0.5, 0.25, 0.125)
        model, bare = Conv4((16, 16, 3), 2, mean=mean), Conv4((16, 16, 3), 2)
        np.testing.assert_array_equal(
            model(COLOURED)[0],
            bare.forward(tf.constant(COLOURED - np.float32(mean)))[0][bare.logits_layer],
        )
        assert len(model.trainable_variables) == len(bare.trainable_variables)

    def test_a_run_read_back_still_has_it(self, coloured: Dataset, conv4: Trainer) -> None:
        again = load_run(conv4.history.run)
        assert np.asarray(again.model.mean) == pytest.approx(coloured.mean)
        images = coloured.test.images / np.float32(255)
        np.testing.assert_array_equal(again.model(images)[0], conv4.model(images)[0])
        assert not np.allclose(again.model(images)[0], again.model(images / 2)[0], atol=1e-3)


@pytest.fixture(scope="module")
def coloured(make_dataset: Callable[..., Dataset]) -> Dataset:
    """70 training pictures of 16x16 pixels in colour, of which the network knows the mean."""
    made = make_dataset(pixels=16, channels=3, classes=2, name="pictures")
    return dataclasses.replace(made, mean=channel_mean(made.train.images))


@pytest.fixture(scope="module")
def conv4(fit: Callable[..., Trainer], coloured: Dataset) -> Trainer:
    """A run of nine steps with everything random that training has; a checkpoint at each."""
    options = {"model": "conv4", "checkpoint_every": 1, "keep": 100, "inspect_every": 4}
    return fit(coloured, **options, **CURES)


class TestRuns:
    """Whole runs."""

    @pytest.mark.parametrize("step", [1, 5])
    def test_dropout_and_augmentation_go_on_as_if_never_interrupted(
        self,
        tmp_path: Path,
        coloured: Dataset,
        conv4: Trainer,
        go_on: Callable[..., Trainer],
        step: int,
    ) -> None:
        run = Path(shutil.copytree(conv4.history.run, tmp_path / "run"))
        for path in (run / "checkpoints").iterdir():
            if int(path.name.removeprefix("step-")) > step:
                shutil.rmtree(path)
        status = json.loads((run / "status.json").read_text())
        (run / "status.json").write_text(json.dumps({**status, "state": "running"}))
        resumed = go_on(run, coloured).history
        assert resumed.steps.tolist() == list(range(step + 1, 10))
        assert resumed.losses.tolist() == conv4.history.losses[step:].tolist()
        assert resumed.weights_sha256 == conv4.history.weights_sha256

    @pytest.mark.parametrize("changed", [{"conv_dropout": 0.0}, {"augment": ()}, {"seed": 1}])
    def test_each_of_them_matters(
        self,
        fit: Callable[..., Trainer],
        coloured: Dataset,
        conv4: Trainer,
        changed: dict[str, Any],
    ) -> None:
        other = fit(coloured, model="conv4", max_steps=2, **(CURES | changed)).history
        assert other.losses[1] != conv4.history.losses[1]

    def test_every_tag_of_every_layer(self, conv4: Trainer) -> None:
        written = set(events.read_tensors(conv4.history.run / "train"))
        kinds = ("kernel", "bias", "kernel_gradient", "bias_gradient", "activation")
        kinds += tuple(DIAGNOSTICS)
        pictures = ("kernels", "kernels_by_channel", "feature_maps", "pre_activations")
        for layer in (*CONVOLUTIONS, "fc1", "fc2"):
            own = pictures if layer in CONVOLUTIONS else ("matrix",)
            assert {f"{layer}/{kind}" for kind in (*kinds, *own)} <= written
        assert "fc1/by_class" in written

    def test_kernels_on_colour_are_pictures_in_true_colour(self, conv4: Trainer) -> None:
        steps, values = events.read_tensors(conv4.history.run / "train")["conv1_1/kernels"]
        with Image.open(io.BytesIO(values[-1][2])) as picture:
            pixels = np.asarray(picture, np.float64)
        kernel = np.asarray(conv4.model.weight_layers["conv1_1"].kernel)
        scaled = 255 * (kernel - kernel.min()) / (kernel.max() - kernel.min())
        assert (steps[-1], pixels.shape[-1]) == (9, 3)
        # Kernel 0 stands at the top left, behind a border of 8, each weight as 20x20 pixels.
        shown = pixels[8 + 10 : 68 : 20, 8 + 10 : 68 : 20]
        assert np.abs(shown - scaled[..., 0]).max() <= 0.51

    def test_inspections_hold_every_layer(self, conv4: Trainer) -> None:
        with np.load(conv4.history.run / "inspections" / "step-00000009.npz") as arrays:
            for name, layer in conv4.model.weight_layers.items():
                np.testing.assert_array_equal(arrays[f"{name}/kernel"], layer.kernel)
            assert arrays["conv2_2/feature_maps"].shape == (8, 8, 64)
            assert arrays["fc1/class_means"].shape == (2, 512)
