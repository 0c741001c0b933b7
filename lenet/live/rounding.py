"""Measures what changes in the answers of a network if its weights are rounded to 16 bits."""

from __future__ import annotations

import numpy as np

from lenet.analysis.trained import TrainedRun, predict, softmax
from lenet.analysis.units import recorded_weights


def effect_of_rounding(run: TrainedRun, images: np.ndarray) -> str:
    """Compares the answers of the rounded network with those of the run, in words.

    Args:
        images: uint8 [n, height, width, channels].
    """
    exact = softmax(predict(run.model, images)[0])
    arrays = {
        f"{name}/{kind}": getattr(layer, kind).numpy().astype(np.float16).astype(np.float32)
        for name, layer in run.model.weight_layers.items()
        for kind in ("kernel", "bias")
    }
    with recorded_weights(run.model, arrays):
        rounded = softmax(predict(run.model, images)[0])
    difference = float(np.abs(rounded - exact).max())
    changed = int((rounded.argmax(1) != exact.argmax(1)).sum())
    answers = f"{changed} of the answers change" if changed else "no answer changes"
    return (
        f"Its weights are rounded to 16 bits, to keep the page small. On the {len(images)} test images "
        f"of the page, the probabilities change by at most {100 * difference:.2g} percentage points, "
        f"and {answers}."
    )
