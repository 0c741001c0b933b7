"""A Keras callback that records for TensorBoard what the layers of any model learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lenet.data.sampling import PROBE_IMAGES, first_of_each_class
from lenet.recording import events
from lenet.recording.inspections import Inspection
from lenet.recording.summaries import Summaries
from lenet.training.inspector import Measured, as_arrays, as_layers, copied_kernels, measurements
from lenet.training.watching import Watched, layers_with_kernel, watching

FEATURES = "features"


class Inspector(keras.callbacks.Callback):
    """Inspects every convolution and dense layer of a model while `model.fit` trains it.

        from lenet import Inspector
        inspector = Inspector("summary_logs/mine", probe=(x_test, y_test))
        model.fit(x_train, y_train, epochs=5, callbacks=[inspector])

    At each inspection it writes the tags of `lenet.train`: histograms of kernels, biases, their
    gradients and the activations; all diagnostics, e.g. gradient norm and dead units; images of
    kernels, matrices and feature maps. At the end of each epoch it writes the metrics of
    `model.fit`, those of the validation data into `test/`. It changes no weight and no state.

    The gradients are those of the model's compiled loss, with dropout off. An activation that is a
    layer of its own belongs to the layer before it, also with a normalization between them.

    Args:
        folder: the folder for the event files. If it already contains those of another training, a
            number is appended to its name; see the attribute `folder`.
        probe: inputs and targets as `fit` takes them, for all inspections. If there are more than
            100, the first of each class are used, or the first 100 if the targets are no classes.
            The feature maps are those of the first input.
        every: the number of steps (updates) between inspections. There is one at the start and at
            the end too.

    Raises:
        ValueError: the probe is empty; or, when training starts, the model has no convolution and
            no dense layer, or Keras does not run on TensorFlow.
        OSError: the folder cannot be written.
    """

    model: Any
    params: Any

    def __init__(self, folder: str | Path, probe: tuple[Any, Any], every: int = 200) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"Expected every to be at least 1. Received: every={every}")
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "Expected Keras to run on TensorFlow. Received: the backend "
                f"{keras.backend.backend()!r}"
            )
        self.folder, self.every = Path(folder), every
        self._x, self._y, self._labels, self._shown = _chosen(*probe)
        self._summaries: Summaries | None = None
        self._layers: dict[str, Any] = {}
        self._first_kernels: dict[str, np.ndarray] = {}
        self._kernels_before: tuple[int, dict[str, np.ndarray]] = (-1, {})
        self._inspected = -1
        self._encoder = ThreadPoolExecutor(1)
        self._encoding: tuple[int, Future[bytes]] | None = None

    def set_model(self, model: keras.Model) -> None:
        """Keras calls this before training."""
        if model is not self.model:
            self._measure = tf.function(self._measurements, autograph=False)
            self._inspected = -1
        super().set_model(model)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Opens the event files, and inspects the untrained model."""
        self._eager = self.model.run_eagerly
        # A subclassed model creates its weights when it is first called.
        with keras.StatelessScope():
            self.model(_each(lambda inputs: inputs[:1], self._x), training=False)
        self._layers = layers_with_kernel(self.model)
        step = self._step()
        if self._inspected < 0 and step == 0:
            self.folder = _unused(self.folder)
            self._first_kernels = copied_kernels(self._layers)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._summaries = Summaries(self.folder)
        self._summaries.write_layout(list(self._layers))
        self._epoch = 0
        if step != self._inspected:
            self._look(step)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch

    # Not at a batch's end: Keras would then wait for the metrics of every batch.
    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Inspects the model after the previous update, if an inspection is due."""
        step = self._step()
        if step // self.every > self._inspected // self.every:
            self._look(step)
        if self.model.steps_per_execution > 1:
            return  # Several updates follow at once, and none can be measured alone.
        total, epochs = self.params.get("steps"), self.params.get("epochs")
        last = total is not None and batch + 1 == total and self._epoch + 1 == epochs
        if last or (step + 1) % self.every == 0:
            self._kernels_before = (step, copied_kernels(self._layers))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the metrics of the epoch."""
        assert self._summaries is not None
        self._write_encoded()
        values = {name: float(value) for name, value in (logs or {}).items()}
        values.setdefault("learning_rate", float(self.model.optimizer.learning_rate))
        test = {name[4:]: value for name, value in values.items() if name.startswith("val_")}
        train = {name: value for name, value in values.items() if not name.startswith("val_")}
        self._summaries.write_metrics(self._step(), train, test)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Inspects the trained model, and closes the event files."""
        assert self._summaries is not None
        if self._step() != self._inspected:
            self._look(self._step())
        self._write_encoded()
        self._summaries.close()

    def _step(self) -> int:
        """The number of updates so far."""
        return int(self.model.optimizer.iterations)

    def _look(self, step: int) -> None:
        """Inspects the model and writes what was found."""
        assert self._summaries is not None
        measured = as_arrays(self._measured())
        copied_at, kernels = self._kernels_before
        called = {name: self._layers[name] for name in measured["activation"]}
        before = kernels if copied_at == step - 1 else {}
        layers = as_layers(called, measured, self._first_kernels, before)
        feature_layer, features = next(iter(measured["features"].items()), (FEATURES, None))
        for name, layer in called.items():
            if isinstance(layer, keras.layers.DepthwiseConv2D):  # One kernel for each input.
                height, width = layers[name].kernel.shape[:2]
                kernels_as_images = layers[name].kernel.reshape(height, width, 1, -1)
                layers[name] = replace(layers[name], kernel=kernels_as_images)
        inspection = Inspection(
            step=step,
            layers=layers,
            feature_maps=measured["feature_maps"],
            pre_activations=measured["pre_activations"],
            features=features,
            feature_layer=feature_layer,
            labels=self._labels,
        )
        self._write_encoded()
        encoded = self._encoder.submit(self._summaries.encode_inspection, inspection)
        self._encoding = step, encoded
        self._inspected = step

    def _write_encoded(self) -> None:
        """Writes the last inspection. It was encoded in a thread while training continued."""
        if self._encoding is not None:
            assert self._summaries is not None
            (step, encoded), self._encoding = self._encoding, None
            self._summaries.write_inspection(step, encoded.result())

    def _measured(self) -> Measured:
        """The measurements. They are compiled, unless the model's own code does not allow it."""
        if not self._eager:
            try:
                return self._measure()
            except Exception:  # Of any kind, from the user's code. If it is not about compiling,
                self._eager = True  # the next lines raise it again.
        eager = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        try:
            return self._measurements()
        finally:
            tf.config.run_functions_eagerly(eager)

    def _measurements(self) -> Measured:
        model, layers = self.model, self._layers
        # No variable changes within the scope, not even a random seed or a moving average.
        with keras.StatelessScope(), tf.GradientTape(persistent=True) as tape:
            tape.watch([layer.kernel.value for layer in layers.values()])
            with watching(model, layers, tape) as seen:
                answers = model(self._x, training=False)
            loss = model.compute_loss(x=self._x, y=self._y, y_pred=answers)
        called = {name: layers[name] for name in seen.outputs}
        maps = [name for name, output in seen.outputs.items() if len(output.shape) == 4]
        measured = measurements(tape, loss, called, seen.outputs, seen.before, seen.without_slope)
        return measured | {
            "feature_maps": {name: seen.outputs[name][self._shown] for name in maps},
            "pre_activations": {name: seen.before[name][self._shown] for name in maps},
            "features": _features(seen),
        }


def _features(seen: Watched) -> dict[str, tf.Tensor]:
    """The input of the last layer by the name of the layer before it; {} if it is no vector."""
    *earlier, last = seen.outputs
    features = seen.inputs[last]
    if len(features.shape) != 2:
        return {}
    dense = bool(earlier) and len(seen.outputs[earlier[-1]].shape) == 2
    return {earlier[-1] if dense else FEATURES: features}


def _chosen(x: Any, y: Any) -> tuple[Any, Any, np.ndarray | None, int]:
    """The inputs and targets to inspect, in the order of their classes.

    Returns:
        The inputs and the targets as tensors; the classes, int [n], or None; and the position of
        the first input that the user gave.
    """
    x, y = _each(np.asarray, (x, y))
    sizes = {len(array) for array in keras.tree.flatten((x, y))}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            "Expected probe to be inputs and targets of the same number, at least one. Received: "
            f"arrays of {', '.join(map(str, sorted(sizes))) or 'no'} entries"
        )
    first = keras.tree.flatten(x)[0]
    labels = _classes(y)
    if labels is None:
        chosen = np.arange(min(len(first), PROBE_IMAGES))
    else:
        chosen = first_of_each_class(labels, first.shape[1:3])
    x, y = _each(lambda array: tf.constant(array[chosen]), (x, y))
    shown = int(np.argmin(chosen))
    return x, y, None if labels is None else labels[chosen], shown


def _each(function: Callable[[Any], Any], arrays: Any) -> Any:
    """Applies a function to every array of a structure, e.g. of a tuple or of a dict."""
    return keras.tree.map_structure(function, arrays)


def _classes(targets: Any) -> np.ndarray | None:
    """The class of each target, from whole numbers or from one-hot rows; None if it is neither."""
    if not isinstance(targets, np.ndarray):
        return None
    if targets.dtype.kind in "iub" and targets.size == len(targets):
        return targets.reshape(-1).astype(np.int32)
    one_hot = targets.ndim == 2 and targets.shape[1] > 1
    if one_hot and np.isin(targets, (0, 1)).all() and (targets.sum(1) == 1).all():
        return targets.argmax(1).astype(np.int32)
    return None


def _unused(folder: Path) -> Path:
    """The folder, or the first of `<folder>-2`, `<folder>-3`, … without event files."""
    candidate, number = folder, 2
    while any(candidate.glob(f"*/{events.PATTERN}")):
        candidate = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return candidate
