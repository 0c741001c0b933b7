"""lenet.export: each file gives the network's answers in a process that knows nothing of this package."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest

from lenet import cli, export
from lenet.analysis.trained import predict, softmax
from lenet.data.datasets import Dataset
from lenet.networks.architectures import LeNet
from lenet.networks.exports import FORMATS
from lenet.networks.portable import portable

if TYPE_CHECKING:
    from lenet import Trainer

TOLERANCE = 1e-5
# What a user's own program does with each format. It can import nothing of this repository.
PROGRAM = """
import json, sys
import numpy as np
folder, images = sys.argv[1], np.load(sys.argv[2])
answers = {}
import tensorflow as tf
loaded = tf.saved_model.load(f"{folder}/savedmodel")
answers["savedmodel"] = loaded.signatures["serving_default"](tf.constant(images))["probabilities"].numpy()
labels = [label.decode() for label in loaded.labels.numpy()]
interpreter = tf.lite.Interpreter(f"{folder}/model.tflite")
[put], [get] = interpreter.get_input_details(), interpreter.get_output_details()
rows = []
for image in images:
    interpreter.resize_tensor_input(put["index"], image[None].shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(put["index"], image[None])
    interpreter.invoke()
    rows.append(interpreter.get_tensor(get["index"])[0])
answers["tflite"] = np.stack(rows)
import keras
answers["keras"] = np.asarray(keras.saving.load_model(f"{folder}/model.keras")(images))
assert not [name for name in sys.modules if name.split(".")[0] in ("lenet", "experiments")]
np.savez(sys.argv[3], **answers)
print(json.dumps(labels))
"""


def run_elsewhere(program: str, *words: Any, folder: Path) -> str:
    """What a program prints that runs outside this repository."""
    result = subprocess.run(
        [sys.executable, "-I", "-c", program, *map(str, words)],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_format_gives_the_same_answers_without_this_package(
    learned: Trainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = learned.history.run
    assert export.main([str(run), "--output", str(tmp_path / "files")]) == 0
    said = capsys.readouterr().out
    for name in ("model.keras", "savedmodel", "model.tflite"):
        assert f"{tmp_path / 'files' / name}  " in said
    assert "Compared with the network on 1,000 images." in said
    images = learned.dataset.test.images
    np.save(tmp_path / "images.npy", images)
    words = (tmp_path / "files", tmp_path / "images.npy", tmp_path / "answers.npz")
    labels = json.loads(run_elsewhere(PROGRAM, *words, folder=tmp_path))
    assert tuple(labels) == learned.dataset.class_names
    written = (tmp_path / "files" / "labels.txt").read_text().splitlines()
    assert tuple(written) == learned.dataset.class_names
    expected = softmax(predict(learned.model, images)[0])
    assert len(expected) == 1_000
    answers = np.load(tmp_path / "answers.npz")
    assert set(answers) == {"keras", "savedmodel", "tflite"}
    for name, found in answers.items():
        assert np.abs(found - expected).max() < TOLERANCE, name


@pytest.mark.slow
@pytest.mark.parametrize("options", [
    {"model": "conv4", "activation": "gelu", "image_size": 16, "conv_dropout": 0.1},
    {"model": "mlp", "activation": "leaky_relu"},
    {"model": "conv3", "activation": "selu"},
    {"activation": "tanh", "fc2_activation": "softplus", "fc_dropout": 0.5},
], ids=str)  # fmt: skip
def test_every_network_and_the_mean_go_along(
    options: dict[str, Any], fit: Callable[..., Trainer], make_dataset: Callable[..., Dataset],
    tmp_path: Path,
) -> None:  # fmt: skip
    size = options.pop("image_size", 16)
    data = make_dataset(pixels=size, channels=3)
    mean = (0.4, 0.5, 0.6)
    data = Dataset(data.name, data.train, data.test, data.class_names, data.sha256, mean=mean)
    trainer = fit(data, epochs=1, **options)
    images = data.test.images
    expected = softmax(predict(trainer.model, images)[0])
    made = portable(trainer.model, data.image_shape)
    for name in ("keras", "savedmodel", "tflite"):
        file, write, load = FORMATS[name]
        write(made, tmp_path / file, data.class_names)
        found = load(tmp_path / file)(images)
        assert np.abs(found - expected).max() < TOLERANCE, name


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in export.ONNX_PACKAGES),
    reason="needs the packages of the extra onnx",
)
def test_onnx_gives_the_same_answers(learned: Trainer, tmp_path: Path) -> None:
    words = [str(learned.history.run), "--format", "onnx", "--output", str(tmp_path)]
    assert export.main(words) == 0
    program = (
        "import sys, numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "images = np.load(sys.argv[2])\n"
        "np.save(sys.argv[3], session.run(None, {'image': images})[0])\n"
        "print(session.get_modelmeta().custom_metadata_map['labels'])"
    )
    images = learned.dataset.test.images
    np.save(tmp_path / "images.npy", images)
    words = (tmp_path / "model.onnx", tmp_path / "images.npy", tmp_path / "answers.npy")
    labels = run_elsewhere(program, *words, folder=tmp_path).splitlines()
    assert tuple(labels) == learned.dataset.class_names
    expected = softmax(predict(learned.model, images)[0])
    assert np.abs(np.load(tmp_path / "answers.npy") - expected).max() < TOLERANCE


def test_a_file_with_other_answers_is_not_passed_over_in_silence(
    learned: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(export, "TOLERANCE", float("nan"))
    words = [str(learned.history.run), "--format", "keras", "--output", str(tmp_path)]
    assert export.main(words) == 1
    assert "Do not use that file" in capsys.readouterr().err


def test_a_format_whose_package_is_missing_says_what_to_install(
    learned: Trainer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "ONNX_PACKAGES", ("tf2onnx", "no_such_package"))
    with pytest.raises(SystemExit) as caught:
        export.main([str(learned.history.run), "--format", "onnx"])
    assert caught.value.code == cli.USER_ERROR
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install" in line and "no_such_package" in line


def test_a_network_saved_by_keras_loads_again(tmp_path: Path) -> None:
    model = LeNet(activation="gelu", mean=[0.25], fc_dropout=0.5, seed=3)
    model.save(tmp_path / "m.keras")
    again: Any = keras.saving.load_model(tmp_path / "m.keras")
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    for found, expected in zip(again(images), model(images), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert list(again.weight_layers) == list(model.weight_layers)
