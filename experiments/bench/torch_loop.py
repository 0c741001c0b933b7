"""The PyTorch contestants: data in memory, fused Adam, eager or with `torch.compile`.

They have the same network and initial weights as `lenet`, read from a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

from experiments.bench.gate import Gate, give_up
from experiments.bench.settings import Settings, floats
from lenet.data.sampling import epoch_order

KERAS_EPSILON = 1e-7  # The epsilon of Adam in Keras. The default of PyTorch is 1e-8.
# The same functions as in Keras, whose leaky_relu has the slope 0.2 for negative values.
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
        # In a different process, so that TensorFlow is not loaded in this one.
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


def compete(settings: Settings, how: str) -> None:
    """Trains with a Python loop over batches.

    Args:
        how: "eager" or "compile".
    """
    torch.set_num_threads(os.cpu_count() or 1)
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

    # Not dynamic, so that each of the two batch sizes (full and last) has its own compiled code.
    step: Any = torch.compile(forward, dynamic=False) if how == "compile" else forward
    gate = Gate()
    for epoch in range(settings.turns):
        gate.wait()
        order = torch.from_numpy(epoch_order(settings.seed, epoch, len(images)).astype(np.int64))
        total, hits = torch.zeros(()), torch.zeros(())
        for chosen in order.split(settings.batch_size):
            try:
                loss, correct = step(images[chosen], labels[chosen])
            except Exception as error:
                if how != "compile" or epoch > 0:
                    raise
                give_up(f"torch.compile cannot compile here ({type(error).__name__})")
                raise  # Never reached.
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(chosen)
            hits += correct
        mean_loss = total.item() / len(images)
        gate.trained()
        gate.answer(mean_loss, len(images), accuracy=hits.item() / len(images))


if __name__ == "__main__":
    compete(Settings.from_json(sys.argv[1]), sys.argv[2])
