"""Encodes numbers, histograms and images as TensorBoard's summaries, each tag with its description.

TensorFlow's `tf.summary` functions do the same with small TensorFlow operations, which take ten times
as long here as NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.util import tensor_util

from lenet.diagnostics import DIAGNOSTICS
from lenet.figures import tiles
from lenet.recording.inspections import Inspection

BUCKETS = 30
BLOCK = 2**20
# Between these, differences of values and 30 / their range fit into float32.
SMALLEST_RANGE, LARGEST_RANGE = 1e-36, 1e38
# No screen can show a larger matrix, or more kernels, as an image.
LARGEST_MATRIX = 4_000_000

# The descriptions that TensorBoard shows, by tag or by the part of a tag after the layer's name.
SCALARS = {
    "loss": "The cross-entropy loss: in `train` the mean over each batch, before its update; in `test` "
    "and `validation` the mean over all images. To see these as measured, set Smoothing to 0.",
    "accuracy": "The share of correct answers: in `train` in each batch, before its update; in `test` "
    "and `validation` among all images. To see these as measured, set Smoothing to 0.",
    "learning_rate": "The learning rate at this step.",
    "images_per_second": "The number of training images per second.",
}
HISTOGRAMS = {
    "kernel": "All weights of the layer, without its biases.",
    "bias": "The biases of the layer, one for each unit.",
    "kernel_gradient": "The gradients of the loss with respect to the weights, for the probe images.",
    "bias_gradient": "The gradients of the loss with respect to the biases, for the probe images.",
    "activation": "The outputs of the layer for the probe images, after the activation function.",
}
IMAGES = {
    "kernels": "All kernels. If a kernel has several input channels, the first three are shown as "
    "red, green and blue.",
    "kernels_by_channel": "All kernels in gray: one column for each kernel, one row for each input "
    "channel.",
    "feature_maps": "The outputs of the layer for one image, after the activation function: one tile "
    "for each kernel, black at its minimum and white at its maximum.",
    "pre_activations": "The outputs of the layer for one image, before the activation function: one "
    "tile for each kernel, black at its minimum and white at its maximum.",
    "matrix": "All weights of the layer: one row for each output, one column for each input.",
    "by_class": "The inputs of the last layer for the probe images: one row for each image, sorted by "
    "class.",
    "inputs/each": "The first images of the data set, as the files contain them.",
    "inputs/grid": "The first images of the data set with their classes.",
}
DESCRIPTIONS = {
    **SCALARS,
    **HISTOGRAMS,
    **IMAGES,
    **{kind: each.sentences for kind, each in DIAGNOSTICS.items()},
}


class Page:
    """Many values of one step in one event. One event per value would take ten times as long.

    The first value of a tag contains its description. TensorBoard reads it there, and later values
    do not repeat it.

    Args:
        described: the tags that are already described. The tags of this page are added.

    Attributes:
        summary: the values.
    """

    def __init__(self, described: set[str]) -> None:
        self.summary = Summary()
        self._described = described

    def scalar(self, tag: str, value: float, description: str = "") -> None:
        """Adds a number. The description is needed only if DESCRIPTIONS has none."""
        create = scalar_metadata.create_summary_metadata
        self._add(tag, np.float32(value), create, description)

    def histogram(self, tag: str, values: np.ndarray) -> None:
        """Adds the histogram of all values."""
        self._add(tag, histogram(values), histogram_metadata.create_summary_metadata)

    def pictures(self, tag: str, *pictures: np.ndarray) -> None:
        """Adds images of one size, uint8 [h, w, channels]."""
        height, width, _ = pictures[0].shape
        encoded = [str(width).encode(), str(height).encode(), *map(tiles.png, pictures)]
        self._add(tag, encoded, image_metadata.create_summary_metadata)

    def _add(
        self,
        tag: str,
        value: Any,
        create_metadata: Callable[[str, str], SummaryMetadata],
        description: str = "",
    ) -> None:
        if tag in self._described:
            description = ""
        else:
            self._described.add(tag)
            description = description or DESCRIPTIONS[tag if tag in DESCRIPTIONS else _kind(tag)]
        tensor = tensor_util.make_tensor_proto(value)
        self.summary.value.add(tag=tag, tensor=tensor, metadata=create_metadata("", description))


def _kind(tag: str) -> str:
    return tag.rpartition("/")[2]


def encode_inspection(inspection: Inspection, described: set[str]) -> bytes:
    """Encodes histograms, diagnostics and images of every layer. It writes nothing.

    Args:
        described: see `Page`.

    Returns:
        A serialized Summary.
    """
    page = Page(described)
    for name, layer in inspection.layers.items():
        for kind in HISTOGRAMS:
            if (values := getattr(layer, kind)) is not None:
                page.histogram(f"{name}/{kind}", values)
        for kind, value in layer.diagnostics.items():
            page.scalar(f"{name}/{kind}", value)
        if layer.kernel.size > LARGEST_MATRIX:
            continue
        if layer.kernel.ndim == 4:
            page.pictures(f"{name}/kernels", tiles.kernels_as_rgb(layer.kernel))
            page.pictures(f"{name}/kernels_by_channel", tiles.kernels_by_channel(layer.kernel))
        elif layer.kernel.ndim == 2:
            # Outputs are rows, so that the image is wide, like a screen.
            page.pictures(f"{name}/matrix", tiles.matrix(layer.kernel.T))
    for name, maps in inspection.feature_maps.items():
        page.pictures(f"{name}/feature_maps", tiles.maps(maps))
        page.pictures(f"{name}/pre_activations", tiles.maps(inspection.pre_activations[name]))
    if inspection.features is not None and inspection.labels is not None:
        by_class = tiles.matrix(inspection.features)
        page.pictures(f"{inspection.feature_layer}/by_class", by_class)
    return page.summary.SerializeToString()


def histogram(values: np.ndarray) -> np.ndarray:
    """Counts values in 30 buckets of equal width, in the form of TensorBoard's histograms.

    Args:
        values: float, any shape; values that are not finite are left out.

    Returns:
        float64 [30, 3]: left edge, right edge, count. If all values are equal, the buckets
        span one unit around them; if there are none, the counts are 0.
    """
    flat = values.ravel()
    minimum, maximum = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    if not np.isfinite(maximum - minimum):
        flat = flat[np.isfinite(flat)]
        minimum, maximum = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    if minimum == maximum:
        minimum, maximum = minimum - 0.5, maximum + 0.5
    if not SMALLEST_RANGE < maximum - minimum < LARGEST_RANGE:
        flat = flat.astype(np.float64)
    edges = np.linspace(minimum, maximum, BUCKETS + 1)
    counts = np.zeros(BUCKETS, np.intp)
    # This is faster than numpy.histogram, which checks every edge again. It works in blocks,
    # because a layer may have a hundred million weights.
    for start in range(0, flat.size, BLOCK):
        block = flat[start : start + BLOCK]
        buckets = ((block - minimum) * (BUCKETS / (maximum - minimum))).astype(np.intp)
        counts += np.bincount(np.clip(buckets, 0, BUCKETS - 1), minlength=BUCKETS)
    return np.stack([edges[:-1], edges[1:], counts], axis=1)
