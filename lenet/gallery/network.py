"""Figures of the network itself: its diagram and its weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from lenet.figures import style, weights
from lenet.gallery.captioned import CaptionedFigure

if TYPE_CHECKING:
    from lenet.gallery.run_data import RunData


def architecture(data: RunData) -> Iterator[CaptionedFigure]:
    """The diagram, if the programs that draw it are installed."""
    png = data.diagram()
    if png is None:
        return
    shapes = "Follow the shapes: they show how an image becomes a short list of numbers."
    if data.convolutions:
        shapes += " First the maps get smaller and more numerous, then the vectors get shorter."
    yield CaptionedFigure(
        "architecture",
        png,
        f"This is the network, from the image at the top to the logits at the bottom. {shapes}",
        ".png",
    )


def kernels(data: RunData) -> Iterator[CaptionedFigure]:
    """The kernels of every convolution."""
    for name in data.convolutions:
        kernel = data.kernels[name]
        title = f"{name} after step {data.run.step:,}"
        yield CaptionedFigure(
            f"kernels_{name}",
            style.figure_of(weights.kernels(kernel, title)),
            "Look for bars and edges. A kernel responds most where the image looks like it. "
            "Kernels that still look like noise have learned little.",
        )
        if kernel.shape[2] > 1:
            yield CaptionedFigure(
                f"kernels_{name}_by_channel",
                style.figure_of(weights.kernels_by_channel(kernel, title)),
                "Each column is one kernel. Each row is one input channel. It shows what the "
                "kernel looks for in one colour of the image, or in one map of the previous layer.",
            )


def weight_images(data: RunData) -> Iterator[CaptionedFigure]:
    """The weights of each unit of a fully connected first layer, and how training changed them."""
    name = data.pixel_layer
    if name is None:
        return
    kernel, step = data.kernels[name], f"{data.run.step:,}"
    yield CaptionedFigure(
        f"weight_images_{name}",
        style.figure_of(weights.unit_images(data.as_images(kernel), f"{name} after step {step}")),
        f"Each small image shows one unit of {name}, with its weight for every pixel. Compare "
        "these images with the kernels of a convolution. A kernel is small and moves over the "
        "image, so it finds its pattern anywhere. A unit of this layer sees the whole image, and "
        "finds its pattern in one position only. Most of the noise comes from the random initial "
        "weights.",
    )
    start = data.recorded.get(0, {}).get(f"{name}/kernel")
    if start is not None:
        change = data.as_images(kernel - start)
        yield CaptionedFigure(
            f"weight_changes_{name}",
            style.figure_of(weights.unit_images(change, f"Change of {name} in {step} steps")),
            "These are the same units without their random initial weights, so this is what they "
            "learned. A bright pixel raises the output where the unit is red and lowers it where "
            "the unit is blue. Pale units learned little. Pixels that are black in all training "
            "images did not change.",
        )


def fc_matrices(data: RunData) -> Iterator[CaptionedFigure]:
    """The kernels of all fully connected layers, in one figure."""
    matrices = {name: kernel for name, kernel in data.kernels.items() if kernel.ndim == 2}
    figure = Figure(figsize=(style.WIDTH, 3.6 * len(matrices)), layout="constrained")
    for index, (name, kernel) in enumerate(matrices.items()):
        weights.matrix(kernel, name, figure.add_subplot(len(matrices), 1, index + 1))
    yield CaptionedFigure(
        "fc_matrices",
        figure,
        "These are all weights of the fully connected layers. A pale column is an input with "
        "little influence. A pale row is an output that depends little on any input.",
    )
