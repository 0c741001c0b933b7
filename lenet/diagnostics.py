"""The diagnostics: one number for each layer at each inspection, with its name and meaning.

A new one needs an entry here and its computation in `training/inspector.py`: recording,
TensorBoard, the figure and the report take their list from here.
"""

from __future__ import annotations

from dataclasses import dataclass

# An activation is saturated where its slope is below this: hardly any gradient passes there.
SATURATED_SLOPE = 0.01
# A unit is dead where its output varies no more than this over all probe images.
DEAD_RANGE = 1e-6


@dataclass(frozen=True)
class Diagnostic:
    """How a diagnostic is shown.

    Attributes:
        title: its name in a figure.
        meaning: what its axis says.
        is_fraction: it is between 0 and 1, shown in percent; others are shown on a logarithmic
            scale.
        hint: what a reader should look for, or "".
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
        "About 1/1,000 is usual; a layer far below it hardly moves.",
    ),
    "dead_fraction": Diagnostic("dead units", "units with the same output for every image", True),
    "saturated_fraction": Diagnostic(
        "saturated outputs",
        f"outputs where the activation's slope is below {SATURATED_SLOPE}",
        True,
    ),
}
