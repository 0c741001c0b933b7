"""Files for TensorBoard's embedding projector: points, their labels, and a thumbnail for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lenet import files
from lenet.figures import tiles

NUM_POINTS = 1_000
CONFIG, POINTS, LABELS, SPRITE = (
    "projector_config.pbtxt",
    "projector_points.tsv",
    "projector_labels.tsv",
    "projector_sprite.png",
)


def write(
    folder: Path,
    name: str,
    features: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Writes, or replaces, the projector's files.

    Args:
        folder: where TensorBoard looks: that of a writer, e.g. `RUN/test`.
        name: what the points are called, e.g. "fc2".
        features: float [n, d].
        images: uint8 [n, height, width, channels].
        labels, predicted: int [n].

    Raises:
        OSError: the folder cannot be written.
    """
    height, width, _ = images.shape[1:]
    lines = ["\t".join(map("{:.5g}".format, row)) for row in features.tolist()]
    files.write(folder / POINTS, "\n".join(lines))
    names = [_cell(name) for name in class_names]
    # TensorBoard writes the first column that is not all numbers beside a point, and a digit's
    # name is a number.
    rows = ["answer\tlabel\tpredicted\toutcome"]
    for label, guess in zip(labels, predicted, strict=True):
        truth, said = names[int(label)], names[int(guess)]
        answer, outcome = ("right", "right") if label == guess else (f"taken for {said}", "wrong")
        rows.append(f"{truth}, {answer}\t{truth}\t{said}\t{outcome}")
    files.write(folder / LABELS, "\n".join(rows))
    # Ink on paper, not paper on ink: the projector's background is white.
    shown = 255 - images if images.shape[-1] == 1 else images
    files.write(folder / SPRITE, tiles.png(tiles.sprite(shown)))
    config = f"""embeddings {{
  tensor_name: "{name}"
  tensor_path: "{POINTS}"
  metadata_path: "{LABELS}"
  sprite {{
    image_path: "{SPRITE}"
    single_image_dim: {width}
    single_image_dim: {height}
  }}
}}
"""
    files.write(folder / CONFIG, config)


def _cell(text: str) -> str:
    """A class name as it may stand in a table of tabs and lines."""
    return " ".join(text.split())
