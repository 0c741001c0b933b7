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
    """Writes the projector's files or replaces them.

    Args:
        folder: the folder of a writer, where TensorBoard looks for them, e.g. `RUN/test`.
        name: the name of the points, e.g. "fc2".
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
    # Next to a point, TensorBoard shows the first column that is not all numbers. A digit's name
    # is a number, so the first column has words too.
    rows = ["answer\tlabel\tpredicted\toutcome"]
    for label, guess in zip(labels, predicted, strict=True):
        truth, said = names[int(label)], names[int(guess)]
        answer, outcome = ("right", "right") if label == guess else (f"taken for {said}", "wrong")
        rows.append(f"{truth}, {answer}\t{truth}\t{said}\t{outcome}")
    files.write(folder / LABELS, "\n".join(rows))
    # Dark on light, because the projector's background is white.
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
    """A class name without tabs and line breaks, which separate the cells of the table."""
    return " ".join(text.split())
