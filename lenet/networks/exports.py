"""Writes a network in the formats of other programs, and loads such files as those programs do.

The loading functions need nothing of this package, so they also show how to use the files.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lenet import files
from lenet.networks.portable import INPUT, OUTPUT

Predict = Callable[[np.ndarray], np.ndarray]
"""Probabilities float32 [n, classes] from images uint8 [n, height, width, channels]."""


def write_keras(model: keras.Model, path: Path, class_names: Sequence[str]) -> None:
    """Writes a `.keras` file, which Keras loads with any of its backends."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / path.name)
        files.write(path, (Path(folder) / path.name).read_bytes())


def load_keras(path: Path) -> Predict:
    """Loads what `write_keras` wrote."""
    model: Any = keras.saving.load_model(path, compile=False)
    return lambda images: np.asarray(model(images))


class _Served(tf.Module):
    """What a SavedModel contains: the network and the names of its classes."""

    def __init__(self, model: keras.Model, class_names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        labels = tf.constant(list(class_names))
        self.labels = tf.Variable(labels, trainable=False, name="labels")
        signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=INPUT)]
        self.serve = tf.function(lambda images: {OUTPUT: model(images)}, signature)


def write_savedmodel(model: keras.Model, path: Path, class_names: Sequence[str]) -> None:
    """Writes a folder in TensorFlow's SavedModel format, with `labels` as a variable."""
    partial = path.with_name(f"{files.PREFIX}{path.name}")
    shutil.rmtree(partial, ignore_errors=True)
    served = _Served(model, class_names)
    tf.saved_model.save(served, str(partial), signatures={"serving_default": served.serve})
    shutil.rmtree(path, ignore_errors=True)
    os.replace(partial, path)


def load_savedmodel(path: Path) -> Predict:
    """Loads what `write_savedmodel` wrote."""
    loaded: Any = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]
    return lambda images: serve(tf.constant(images))[OUTPUT].numpy()


def write_tflite(model: keras.Model, path: Path, class_names: Sequence[str]) -> None:
    """Writes a TensorFlow Lite file with float32 weights."""
    weights = [(weight, tf.constant(weight.numpy())) for weight in model.variables]

    def with_constants(images: tf.Tensor) -> dict[str, tf.Tensor]:
        with keras.StatelessScope(weights):  # The converter would leave variables without values.
            return {OUTPUT: model(images)}

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=INPUT)]
    compiled = tf.function(with_constants, signature, autograph=False).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([compiled])
    files.write(path, converter.convert())


def load_tflite(path: Path) -> Predict:
    """Loads what `write_tflite` wrote."""
    interpreter = tf.lite.Interpreter(str(path))
    [inputs], [outputs] = interpreter.get_input_details(), interpreter.get_output_details()

    def predict(images: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(inputs["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(inputs["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(outputs["index"])

    return predict


def write_onnx(model: keras.Model, path: Path, class_names: Sequence[str]) -> None:
    """Writes an ONNX file, with the names of the classes in its metadata, one on each line."""
    onnx: Any = importlib.import_module("onnx")  # Only installed with the extra.

    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / "model.onnx")
        model.export(target, format="onnx", verbose=False)
        made = onnx.load(target)
    _without_erfc(onnx, made)
    onnx.helper.set_model_props(made, {"labels": "\n".join(class_names)})
    files.write(path, made.SerializeToString())


def _without_erfc(onnx: Any, made: Any) -> None:
    """Replaces erfc(x), which TensorFlow's gelu uses and ONNX does not have, by 1 - erf(x)."""
    make, nodes = onnx.helper.make_node, list(made.graph.node)
    del made.graph.node[:]
    for node in nodes:
        if node.op_type != "Erfc":
            made.graph.node.append(node)
            continue
        one, erf = (f"{node.output[0]}/{name}" for name in ("one", "erf"))
        value = onnx.helper.make_tensor("one", onnx.TensorProto.FLOAT, [], [1.0])
        made.graph.node.append(make("Constant", [], [one], value=value))
        made.graph.node.append(make("Erf", node.input, [erf]))
        made.graph.node.append(make("Sub", [one, erf], node.output))


def load_onnx(path: Path) -> Predict:
    """Loads what `write_onnx` wrote."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(str(path))
    [inputs] = session.get_inputs()
    return lambda images: session.run(None, {inputs.name: images})[0]


FORMATS: dict[str, tuple[str, Callable[..., None], Callable[[Path], Predict]]] = {
    "keras": ("model.keras", write_keras, load_keras),
    "savedmodel": ("savedmodel", write_savedmodel, load_savedmodel),
    "tflite": ("model.tflite", write_tflite, load_tflite),
    "onnx": ("model.onnx", write_onnx, load_onnx),
}
"""For each format: the name of its file, and the functions that write and load it."""
