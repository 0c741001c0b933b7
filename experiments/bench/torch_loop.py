"""PyTorch as a contestant: data in memory, fused Adam, eager or with `torch.compile`.

The network and its initial weights are those of `lenet`, read from a file.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

from experiments.bench.gate import Gate, give_up
from experiments.bench.settings import Settings, floats
from lenet.data.sampling import epoch_order

KERAS_EPSILON = 1e-7  # Of Adam; PyTorch's own default is 1e-8.
REPETITIONS = 40  # Of a batch, to try a number of threads, after as many for warming up.
# The same functions as in Keras. leaky_relu: Keras's slope for negative values is 0.2.
ACTIVATIONS: dict[str, Any] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
}


def initial_weights(settings: Settings) -> Any:
    """The layers and weights that `ours.save_initial_weights` writes, as a NumPy archive."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npz"
        command = [sys.executable, "-m", "experiments.bench.ours", settings.to_json()]
        # In another process: TensorFlow stays out of this one.
        subprocess.run([*command, "weights", str(path)], check=True)
        with np.load(path) as saved:
            return dict(saved)


def build_network(saved: Any) -> nn.Sequential:
    """The network of `lenet` as a PyTorch network for images [n, channels, height, width]."""
    modules: list[nn.Module] = []
    for layer in json.loads(str(saved["layers"])):
        kind = layer["kind"]
        if kind == "MaxPooling2D":
            modules.append(nn.MaxPool2d(2))
        elif kind == "Dropout":
            modules.append(nn.Dropout(layer["rate"]))
        elif kind == "Flatten":
            modules.append(nn.Flatten())
        else:
            kernel, bias = saved[f"{layer['name']}/kernel"], saved[f"{layer['name']}/bias"]
            modules.append(_with_weights(layer, kernel, bias))
        if layer["activation"]:
            modules.append(ACTIVATIONS[layer["activation"]]())
    return nn.Sequential(*modules)


def _with_weights(layer: dict[str, Any], kernel: np.ndarray, bias: np.ndarray) -> nn.Module:
    """A convolution or a fully connected layer with the given weights, in PyTorch's order."""
    if layer["kind"] == "Conv2D":
        size, _, inputs, outputs = kernel.shape
        module = nn.Conv2d(inputs, outputs, size, padding=layer["padding"])
        weight = kernel.transpose(3, 2, 0, 1)
    else:
        module = nn.Linear(*kernel.shape)
        if len(layer["input"]) == 3:  # Keras flattens channels last, PyTorch channels first.
            maps = kernel.reshape(*layer["input"], -1)
            kernel = maps.transpose(2, 0, 1, 3).reshape(kernel.shape)
        weight = kernel.T
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        assert module.bias is not None
        module.bias.copy_(torch.from_numpy(bias))
    return module


def best_threads(step: Any, images: torch.Tensor, labels: torch.Tensor) -> int:
    """One thread, or one per processor: with which of them a batch is faster here.

    Small operations can be slower with more threads, which wait for each other. No weight changes.
    """

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        times = [time.perf_counter()]
        for _ in range(2 * REPETITIONS):
            loss, _ = step(images, labels)
            loss.backward()
            times.append(time.perf_counter())
        return statistics.median(np.diff(times[REPETITIONS:]))  # The first ones warm up.

    return min({1, os.cpu_count() or 1}, key=seconds)


def compete(settings: Settings, how: str) -> None:
    """Trains with a Python loop over batches.

    Args:
        how: "eager" or "compile".
    """
    dataset = settings.dataset()
    images = torch.from_numpy(floats(dataset, dataset.train)).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(dataset.train.labels.astype(np.int64))
    saved = initial_weights(settings)
    network = build_network(saved)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=float(saved["learning_rate"]), eps=KERAS_EPSILON, fused=True
    )

    def forward(batch_images: torch.Tensor, batch_labels: torch.Tensor) -> Any:
        logits = network(batch_images)
        loss = nn.functional.cross_entropy(logits, batch_labels)
        return loss, (logits.argmax(1) == batch_labels).sum()

    # Not dynamic: each of the two batch sizes, full and last, gets code of its own.
    step: Any = torch.compile(forward, dynamic=False) if how == "compile" else forward
    gate = Gate()
    gate.wait()  # What follows is part of the warm-up, when nobody else trains.
    try:
        threads = best_threads(step, images[: settings.batch_size], labels[: settings.batch_size])
    except Exception as error:
        if how != "compile":
            raise
        give_up(f"torch.compile cannot compile here ({type(error).__name__})")
    torch.set_num_threads(threads)
    for epoch in range(settings.turns):
        if epoch > 0:
            gate.wait()
        order = torch.from_numpy(epoch_order(settings.seed, epoch, len(images)).astype(np.int64))
        total, hits = torch.zeros(()), torch.zeros(())
        for chosen in order.split(settings.batch_size):
            loss, correct = step(images[chosen], labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(chosen)
            hits += correct
        mean_loss, accuracy = total.item() / len(images), hits.item() / len(images)
        gate.trained()
        choice = f"{threads} thread{'' if threads == 1 else 's'}"
        gate.answer(mean_loss, len(images), accuracy=accuracy, choice=choice)


if __name__ == "__main__":
    compete(Settings.from_json(sys.argv[1]), sys.argv[2])
