"""lenet.Inspector: what it writes during `model.fit` of models that are not ours, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from lenet import Inspector
from lenet.data.datasets import Dataset
from lenet.diagnostics import DIAGNOSTICS
from lenet.recording import events
from lenet.recording.encoding import HISTOGRAMS
from tests.described_tags import descriptions

LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
Model = tuple[keras.Model, Any]


def tutorial() -> Model:
    """The network of Keras's "Simple MNIST convnet", fchollet, with fewer kernels."""
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(4, kernel_size=(3, 3), activation="relu", name="first"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(6, kernel_size=(3, 3), activation="relu", name="second"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax", name="answer"),
        ]
    )
    return model, "sparse_categorical_crossentropy"


def resnet() -> Model:
    """Two blocks after He et al., 2016: no biases, batch normalization, a sum of two paths."""

    def conv(x: Any, width: int, name: str, size: int = 3, strides: int = 1) -> Any:
        made = layers.Conv2D(
            width, size, strides=strides, padding="same", use_bias=False, name=name
        )
        return layers.BatchNormalization()(made(x))

    start = keras.Input((12, 12, 1))
    x = layers.ReLU()(conv(start, 4, "stem"))
    for width, strides in ((4, 1), (8, 2)):
        path = layers.Activation("relu")(conv(x, width, f"block{width}_1", 3, strides))
        path = conv(path, width, f"block{width}_2")
        shortcut = x if strides == 1 else conv(x, width, "shortcut", 1, strides)
        x = layers.ReLU()(layers.add([path, shortcut]))
    answer = layers.Dense(3, name="answer")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(start, answer), LOGITS


class Nested(keras.Model):
    """A subclassed model with another model inside, names that occur twice, and restless layers."""

    def __init__(self) -> None:
        super().__init__()
        inner = [
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="tanh", name="conv"),
            layers.Conv2D(4, 3, activation=layers.LeakyReLU(0.1), name="conv2"),
            layers.Flatten(),
            layers.Dense(8, activation="sigmoid", name="dense"),
        ]
        self.base = keras.Sequential(inner, name="base")
        self.restless = [layers.Dropout(0.5), layers.BatchNormalization()]
        self.dense = layers.Dense(3, name="dense")
        self.unused = "layers may have attributes of any kind"

    def call(self, images: Any, training: bool = False) -> Any:
        x = self.base(images)
        for layer in self.restless:
            x = layer(x, training=True)  # These change their state even when nobody trains.
        return self.dense(x)


def nested() -> Model:
    return Nested(), LOGITS


def trained(
    make: Callable[[], Model], data: Dataset, callbacks: list[Any], epochs: int = 2, **how: Any
) -> keras.Model:
    """A model after `fit`: three steps an epoch."""
    keras.utils.set_random_seed(0)
    model, loss = make()
    model.compile("adam", loss, metrics=["accuracy"], **({"run_eagerly": True} | how))
    images, labels = (data.train.images / 255.0).astype("float32"), data.train.labels
    test = ((data.test.images / 255.0).astype("float32"), data.test.labels)
    model.fit(images, labels, 32, epochs, validation_data=test, callbacks=callbacks, verbose=0)
    return model


def probe(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return (data.test.images / 255.0).astype("float32"), data.test.labels


def states(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in (*model.variables, *model.optimizer.variables)]


def check_inspected(
    make: Callable[[], Model], data: Dataset, folder: Path, every: int = 2, **how: Any
) -> dict[str, Any]:
    """Trains with and without the callback; every state is the same. Returns what was written."""
    inspector = Inspector(folder, probe(data), every=every)
    looked_at = trained(make, data, [inspector], **how)
    for found, expected in zip(
        states(looked_at), states(trained(make, data, [], **how)), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert inspector.folder == folder
    for writer in ("train", "test"):
        for tag, (first, *later) in descriptions(folder / writer).items():
            assert first or tag.startswith("custom_scalars"), tag
            assert set(later) <= {""}, tag
    return events.read_tensors(folder / "train")


EXPECTED = {
    tutorial: {"conv": ["first", "second"], "dense": ["answer"], "softmax": ["answer"]},
    resnet: {
        "conv": ["stem", "block4_1", "block4_2", "block8_1", "block8_2", "shortcut"],
        "dense": ["answer"],
        "no bias": ["stem", "block4_1", "block4_2", "block8_1", "block8_2", "shortcut"],
    },
    nested: {"conv": ["conv", "conv2"], "dense": ["nested/base/dense", "nested/dense"]},
}


@pytest.mark.parametrize(
    "make",
    [tutorial, pytest.param(resnet, marks=pytest.mark.slow), nested],
    ids=lambda make: make.__name__,
)
def test_it_writes_the_tags_of_lenet_train_and_changes_nothing(
    make: Callable[[], Model], tiny: Dataset, tmp_path: Path
) -> None:
    found = check_inspected(make, tiny, tmp_path / "mine")
    expected, kinds = set(), EXPECTED[make]
    for name in (*kinds["conv"], *kinds["dense"]):
        expected |= {f"{name}/{kind}" for kind in (*HISTOGRAMS, *DIAGNOSTICS)}
    for name in kinds["conv"]:
        expected |= {f"{name}/{kind}" for kind in ("kernels", "kernels_by_channel")}
        expected |= {f"{name}/{kind}" for kind in ("feature_maps", "pre_activations")}
    expected |= {f"{name}/matrix" for name in kinds["dense"]}
    expected -= {
        f"{name}/{kind}" for name in kinds.get("no bias", []) for kind in ("bias", "bias_gradient")
    }
    expected -= {
        f"{name}/{kind}"
        for name in kinds.get("softmax", [])
        for kind in ("slope", "saturated_fraction")
    }
    features = "nested/base/dense" if make is nested else "features"
    expected |= {f"{features}/by_class", "loss", "accuracy", "learning_rate"}
    assert {tag for tag in found if not tag.startswith("custom_scalars")} == expected
    name = kinds["conv"][0]
    assert found[f"{name}/kernel"][0].tolist() == [0, 2, 4, 6]
    assert found[f"{name}/update_ratio"][0].tolist() == [2, 4, 6]
    assert found["loss"][0].tolist() == [3, 6]
    assert set(events.read_scalars(tmp_path / "mine" / "test")) == {"loss", "accuracy"}


def test_what_it_writes_is_what_the_model_does(tiny: Dataset, tmp_path: Path) -> None:
    kernels: dict[int, np.ndarray] = {}

    class Noted(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            model: Any = self.model
            kernels[batch] = np.asarray(model.get_layer("stem").kernel).copy()

    inspector = Inspector(tmp_path / "mine", probe(tiny), every=1)
    model = trained(resnet, tiny, [inspector, Noted()], epochs=1, run_eagerly=False)
    steps, histograms = events.read_tensors(tmp_path / "mine" / "train")["stem/kernel"]
    assert steps.tolist() == [0, 1, 2, 3]
    for step, kernel in kernels.items():  # Encoded while training went on, but of that step.
        edges = histograms[step][0, 0], histograms[step][-1, 1]
        np.testing.assert_allclose(edges, (kernel.min(), kernel.max()), rtol=1e-6)
    found = events.read_scalars(tmp_path / "mine" / "train")
    images, labels = probe(tiny)
    answer = model.get_layer("answer")
    # The gradient of the last layer by its formula: probabilities minus one-hot labels.
    inner = keras.Model(model.input, answer.input)
    vectors, logits = np.asarray(inner(images)), np.asarray(model(images))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = vectors.T @ (probabilities - np.eye(3)[labels]) / len(labels)
    assert found["answer/gradient_norm"][1][-1] == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
    # The activation of a convolution is that of the layer after its normalization.
    after = keras.Model(model.input, model.layers[3].output)
    rectified = np.asarray(after(images))
    assert isinstance(model.layers[3], layers.ReLU)
    assert found["stem/saturated_fraction"][1][-1] == pytest.approx(
        np.mean(rectified == 0), abs=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", EXPECTED, ids=lambda make: make.__name__)
@pytest.mark.parametrize("how", [{"steps_per_execution": 2}, {"jit_compile": True}], ids=str)
def test_it_works_with_compiled_training(
    make: Callable[[], Model], how: dict[str, Any], tiny: Dataset, tmp_path: Path
) -> None:
    found = check_inspected(make, tiny, tmp_path / "mine", every=2, run_eagerly=False, **how)
    name = EXPECTED[make]["conv"][0]
    steps = found[f"{name}/kernel"][0].tolist()
    if "jit_compile" in how:
        assert steps == [0, 2, 4, 6]
    else:  # Three steps an epoch: two at once, then one. No update is seen alone.
        assert steps == [0, 2, 5, 6]
        assert f"{name}/update_ratio" not in found


def test_another_training_gets_its_own_folder(tiny: Dataset, tmp_path: Path) -> None:
    for number in (1, 2):
        inspector = Inspector(tmp_path / "mine", probe(tiny))
        model = trained(tutorial, tiny, [inspector], epochs=1)
        assert inspector.folder.name == ("mine" if number == 1 else "mine-2")
    images, labels = probe(tiny)  # The same training goes on, in the same folder.
    model.fit(images, labels, callbacks=[inspector], verbose=0)
    steps, _ = events.read_scalars(tmp_path / "mine-2" / "train")["first/gradient_norm"]
    assert steps.tolist() == [0, 3, 4]


def test_what_it_cannot_inspect_is_refused_clearly(tiny: Dataset, tmp_path: Path) -> None:
    images, labels = probe(tiny)
    with pytest.raises(
        ValueError, match="Expected probe to be inputs and targets of the same number"
    ):
        Inspector(tmp_path, (images, labels[:3]))
    with pytest.raises(ValueError, match="Expected every to be at least 1"):
        Inspector(tmp_path, (images, labels), every=0)
    model = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Softmax()])
    model.compile("sgd", LOGITS)
    with pytest.raises(ValueError, match="at least one convolution or dense layer"):
        model.fit(images, labels, callbacks=[Inspector(tmp_path, (images, labels))], verbose=0)
