"""The layers, units and parameters of the compared networks, and a short glossary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.report.data import Comparison, Run
from lenet.config import TrainConfig
from lenet.diagnosis import loss_text, percent
from lenet.diagnostics import DIAGNOSTICS
from lenet.registry import OPTIMIZERS

SOURCE_STDDEV = 0.1  # Of the original implementations, `Classifier.source_init`.
TRUNCATED = 0.8796  # The standard deviation of a standard normal distribution without |x| > 2.
MOMENTUM = float(OPTIMIZERS["momentum"]["arguments"]["momentum"])
INITIALIZERS = {
    "glorot_uniform": "Glorot uniform: kernels from a uniform distribution within "
    "±√(6 / (fan-in + fan-out))",
    "he_normal": "He normal: kernels from a truncated normal distribution with standard deviation "
    "√(2 / fan-in)",
    "truncated_normal": "kernels from a normal distribution with standard deviation {stddev:g} "
    "without its values beyond ±{limit:g}, so that their standard deviation is {true:.2g}",
    "source": "as in the network's original implementation: kernels from a normal distribution "
    "with standard deviation {stddev:g} without its values beyond ±{limit:g}, so that their standard "
    "deviation is {true:.2g}",
}
GLOSSARY = {
    "Nats": "The unit of the loss. If the loss is x nats, the network assigns a probability of "
    "e⁻ˣ to the correct class (the geometric mean over the images). A network that guesses among "
    f"ten classes has a loss of ln(10) = {loss_text(math.log(10))} nats.",
    "Probe images": "A few training images on which gradients and activations are measured.",
    "Learning rate": "The number that decides how large the updates of the weights are.",
    "sgd": "Stochastic gradient descent: each update is the gradient of one batch times the learning "
    "rate. So small gradients make small updates.",
    "Adam": "An optimizer that divides each update by the size of the recent gradients, weight by "
    "weight. So small gradients make updates of the usual size.",
    "Momentum": f"Each update is the update of plain gradient descent plus {MOMENTUM:g} times the "
    f"previous update. If the gradient stays the same, the updates become {1 / (1 - MOMENTUM):.2g} "
    "times as large.",
    "Gradient norm": "The length of the gradient of a layer's kernel. It shows how strongly the "
    "loss depends on the layer's weights.",
    **{
        name: f"{DIAGNOSTICS[kind].meaning.capitalize()}. {DIAGNOSTICS[kind].hint}"
        for name, kind in {
            "Slope": "slope",
            "Saturated outputs": "saturated_fraction",
            "Dead units": "dead_fraction",
            "Update ratio": "update_ratio",
            "Distance moved": "distance_moved",
        }.items()
    },
    "Seed": "The number that decides the random first weights and the random order of the images. "
    "Runs that differ only in their seed differ only by chance.",
    "Step, epoch": "A step is one update of the weights, with one batch of images. An epoch is one "
    "pass through all training images.",
    "Fan-in, fan-out": "The fan-in is the number of inputs of a unit. The fan-out is the number of "
    "outputs that depend on one input.",
}


@dataclass(frozen=True)
class LayerRow:
    """One layer in a box that describes a network."""

    name: str
    kind: str
    output: str
    units: str
    parameters: str


@dataclass(frozen=True)
class NetworkBox:
    """One network: its layers in order, and how it was initialized.

    Attributes:
        largest: the layer with the most parameters, and their share, in a sentence.
    """

    title: str
    rows: Sequence[LayerRow]
    parameters: str
    largest: str
    initialization: str


def network_boxes(comparison: Comparison) -> list[NetworkBox]:
    """One box for each model of the comparison. Models without a description are left out."""
    boxes: dict[str, NetworkBox] = {}
    for run in comparison.runs:
        if run.config.model not in boxes and (layers := _layers(run)):
            boxes[run.config.model] = _box(run, layers)
    return list(boxes.values())


def _layers(run: Run) -> list[Mapping[str, Any]]:
    """The layers from the run's `config.json`, or from the kernels in its inspections."""
    if run.network:
        return list(run.network)
    arrays = run.inspection(min(run.inspections, default=0), "kernel", "bias")
    layers = []
    for name, bias in arrays.items():
        layer, _, kind = name.rpartition("/")
        if kind == "bias" and (kernel := arrays.get(f"{layer}/kernel")) is not None:
            layers.append(
                {
                    "name": layer,
                    "kind": _kind(kernel),
                    "output": None,
                    "units": len(bias),
                    "parameters": kernel.size + bias.size,
                }
            )
    return layers


def _kind(kernel: np.ndarray) -> str:
    if kernel.ndim == 4:
        return f"convolution {kernel.shape[0]}×{kernel.shape[1]}"
    return "fully connected"


def _box(run: Run, layers: Sequence[Mapping[str, Any]]) -> NetworkBox:
    rows = [
        LayerRow(
            str(layer["name"]),
            str(layer["kind"]),
            "×".join(map(str, layer["output"])) if layer["output"] else "",
            f"{layer['units']:,}" if layer["units"] else "",
            f"{layer['parameters']:,}" if layer["parameters"] else "",
        )
        for layer in layers
    ]
    total = sum(int(layer["parameters"]) for layer in layers)
    most = max(layers, key=lambda layer: int(layer["parameters"]))
    share = percent(int(most["parameters"]) / max(total, 1))
    largest = f"{most['name']} has the most parameters, {share} of all."
    return NetworkBox(run.config.model, rows, f"{total:,}", largest, _initialization(run.config))


def _initialization(config: TrainConfig) -> str:
    stddev = SOURCE_STDDEV if config.init == "source" else config.init_stddev
    text = INITIALIZERS[config.init or "glorot_uniform"].format(
        stddev=stddev, limit=2 * stddev, true=TRUNCATED * stddev
    )
    if config.init_bias is not None:
        return f"{text}; biases {config.init_bias:g}"
    return text if config.init == "source" else f"{text}; biases 0"
