"""The diagnostics: one number for each layer at each inspection, with its name and meaning.

A new diagnostic needs an entry here and its computation in `training/inspector.py`. Recording,
TensorBoard, the figure and the report take their list from here.
"""

from __future__ import annotations

from dataclasses import dataclass

# An activation is saturated if its slope is below this. Then hardly any gradient passes.
SATURATED_SLOPE = 0.01
# A unit is dead if its output varies by no more than this over all probe images.
DEAD_RANGE = 1e-6


@dataclass(frozen=True)
class Diagnostic:
    """How a diagnostic is shown.

    Attributes:
        title: its name in a figure.
        meaning: the label of its axis.
        is_fraction: whether it is between 0 and 1. Fractions are shown in percent, the others on a
            logarithmic scale.
        hint: what the reader should look for, or "".
    """

    title: str
    meaning: str
    is_fraction: bool
    hint: str = ""


DIAGNOSTICS = {
    "gradient_norm": Diagnostic("gradient norm", "L2 norm of the kernel's gradient", False),
    "update_ratio": Diagnostic(
        "update ratio",
        "size of one update / size of the kernel",
        False,
        "About 1/1,000 is usual. If it is far lower, the weights of the layer hardly change.",
    ),
    "distance_moved": Diagnostic(
        "distance moved",
        "distance of the kernel from its start / size of the kernel at the start",
        False,
        "If it is far below 1/100 at the end, the layer has hardly learned.",
    ),
    "slope": Diagnostic(
        "slope of the activation",
        "root mean square of the slopes at all outputs",
        False,
        "On its way back through a layer, the size of a gradient is multiplied by about this number.",
    ),
    "dead_fraction": Diagnostic("dead units", "units with the same output for every image", True),
    "saturated_fraction": Diagnostic(
        "saturated outputs",
        f"outputs where the activation's slope is below {SATURATED_SLOPE}",
        True,
    ),
}
