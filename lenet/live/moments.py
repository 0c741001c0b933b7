"""The weights of a run at moments of its training, from all files that contain them.

An inspection contains the kernels and biases of every layer, except kernels with more than a
million weights. For a network with such a layer, the checkpoints contain all weights, and the
weights of step 0 are computed again from the seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lenet import reading
from lenet.analysis.trained import TrainedRun
from lenet.networks.architectures import build_model
from lenet.recording import checkpoints, inspections, runs

Weights = dict[str, tuple[np.ndarray, np.ndarray]]
"""The kernel and the bias of every layer with weights, by layer, in order: float32."""


class Moments:
    """The recorded steps of a run, up to its checkpoint, and the weights at each of them.

    Attributes:
        steps: the steps at which all weights are known, ascending. The last is the checkpoint's.
    """

    def __init__(self, run: TrainedRun) -> None:
        layers = list(run.model.weight_layers)
        recorded = _until(run.step, inspections.paths(run.path / runs.INSPECTIONS))
        complete = {step: path for step, path in recorded.items() if _has_all(path, layers)}
        if not complete:
            saved = _until(run.step, runs.by_step(run.path / runs.CHECKPOINTS))
            files = {step: path / checkpoints.MODEL for step, path in saved.items()}
            complete = {step: path for step, path in files.items() if _has_all(path, layers)}
        self._run = run
        self._files = complete
        self._start = {} if 0 in complete else _initial(run, recorded.get(0))
        self.steps = sorted({*complete, *self._start, run.step})

    def read(self, maximum: int) -> dict[int, Weights]:
        """Reads the weights at some of the steps.

        Args:
            maximum: the number of steps to read. They are spread evenly over all recorded steps
                and include the first and the last one, if they are at least two.

        Returns:
            The weights by step, ascending.
        """
        return {step: self._at(step) for step in spread(self.steps, maximum)}

    def _at(self, step: int) -> Weights:
        layers = self._run.model.weight_layers
        if step == self._run.step:
            return _weights_of(layers)
        return self._start[step] if step in self._start else _read(self._files[step], list(layers))


def _until(last: int, paths: Mapping[int, Path]) -> dict[int, Path]:
    return {step: path for step, path in paths.items() if step <= last}


def spread(steps: Sequence[int], maximum: int) -> list[int]:
    """At most `maximum` of the steps, evenly spread, with the first and the last."""
    if len(steps) <= maximum:
        return list(steps)
    chosen = np.linspace(0, len(steps) - 1, maximum).round().astype(int)
    return [steps[index] for index in chosen]


def _initial(run: TrainedRun, inspection: Path | None) -> dict[int, Weights]:
    """The weights before the first update, computed again from the seed.

    If the arrays that the inspection of step 0 contains are different (a different version of
    Keras), the result is empty.
    """
    mean = None if run.model.mean is None else np.asarray(run.model.mean).tolist()
    model = build_model(run.config, run.image_shape, len(run.class_names), mean)
    weights = _weights_of(model.weight_layers)
    if inspection is None:
        return {}
    arrays = reading.read_arrays(inspection)
    for name, pair in weights.items():
        for kind, array in zip(("kernel", "bias"), pair, strict=True):
            key = f"{name}/{kind}"
            if key in arrays and not np.array_equal(arrays[key], array):
                return {}
    return {0: weights}


def _has_all(path: Path, layers: Sequence[str]) -> bool:
    """Whether a file contains the kernels and biases of all layers."""
    try:
        names = set(reading.array_names(path))
    except (OSError, ValueError):
        return False
    return names >= {f"{layer}/{kind}" for layer in layers for kind in ("kernel", "bias")}


def _read(path: Path, layers: Sequence[str]) -> Weights:
    names = {f"{layer}/{kind}" for layer in layers for kind in ("kernel", "bias")}
    arrays = reading.read_arrays(path, names.__contains__)
    return {name: (arrays[f"{name}/kernel"], arrays[f"{name}/bias"]) for name in layers}


def _weights_of(layers: dict) -> Weights:
    return {
        name: (np.asarray(layer.kernel), np.asarray(layer.bias)) for name, layer in layers.items()
    }
