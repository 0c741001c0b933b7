"""The diagram of a network, layer by layer, drawn by Keras's `plot_model`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras

from lenet.networks.classifier import Classifier

DOT_MISSING = (
    "no diagram of the network: the program `dot` is missing "
    "(Debian, Ubuntu: apt install graphviz; macOS: brew install graphviz)"
)


class DiagramUnavailable(Exception):
    """A program that draws diagrams is not installed; the message says what to install."""


def draw(model: Classifier, image_shape: tuple[int, int, int], dpi: int = 70) -> bytes:
    """Draws every layer with its input and output shapes.

    `plot_model` shows a subclassed model as one box, so this draws a functional model over the
    same layers, called in the same order.

    Returns:
        The bytes of a PNG.

    Raises:
        DiagramUnavailable: pydot or graphviz's `dot` is missing.
    """
    image: Any = keras.Input(image_shape, name="image")
    outputs, _ = model.forward(image)
    functional = keras.Model(image, outputs[model.logits_layer], name=model.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.png"
        try:
            keras.utils.plot_model(
                functional,
                str(path),
                show_shapes=True,
                show_layer_names=True,
                dpi=dpi,
            )
        except (ImportError, OSError) as error:
            raise DiagramUnavailable(DOT_MISSING) from error
        if not path.exists():
            raise DiagramUnavailable(DOT_MISSING)
        return path.read_bytes()
