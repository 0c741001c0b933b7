"""The diagnostics: one number for each layer at each inspection, with its name and meaning.

A new diagnostic needs an entry here and its computation in `training/inspector.py`. Recording,
TensorBoard, the figure and the report take their list from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# An activation is saturated if its slope is below this. Then hardly any gradient passes.
SATURATED_SLOPE = 0.01
# A unit is dead if its output varies by no more than this over all probe images.
DEAD_RANGE = 1e-6
# A kernel has hardly changed if it is closer to its start than this share of its size.
HARDLY_MOVED = 0.05


Scale = Literal["percent", "linear", "logarithmic"]


@dataclass(frozen=True)
class Diagnostic:
    """How a diagnostic is shown.

    Attributes:
        title: its name in a figure.
        meaning: the label of its axis.
        scale: "percent" for a share from 0 to 1, otherwise "linear" or "logarithmic".
        hint: what the reader should look for, or "".
    """

    title: str
    meaning: str
    scale: Scale
    hint: str = ""

    @property
    def sentences(self) -> str:
        """Its meaning and what to look for, for TensorBoard and the report."""
        meaning = f"the share of {self.meaning}" if self.scale == "percent" else self.meaning
        return f"{meaning[0].upper()}{meaning[1:]}. {self.hint}".rstrip()


DIAGNOSTICS = {
    "gradient_norm": Diagnostic("gradient norm", "L2 norm of the kernel's gradient", "logarithmic"),
    "update_ratio": Diagnostic(
        "update ratio",
        "size of one update / size of the kernel",
        "logarithmic",
        "About 0.001 (0.1 %) is usual. If it is far lower, the weights of the layer hardly change.",
    ),
    "distance_moved": Diagnostic(
        "distance moved",
        "distance of the kernel from its start / size of the kernel at the start",
        "logarithmic",
        f"If it stays below {HARDLY_MOVED:g} ({100 * HARDLY_MOVED:g} %), the layer has hardly changed.",
    ),
    "slope": Diagnostic(
        "slope of the activation",
        "root mean square of the slopes at all outputs",
        "linear",
        "On its way back through a layer, the size of a gradient is multiplied by about this number.",
    ),
    "dead_fraction": Diagnostic(
        "dead units",
        "units with the same output for every probe image",
        "percent",
        "Such a unit tells nothing about an image.",
    ),
    "saturated_fraction": Diagnostic(
        "saturated outputs",
        f"outputs where the activation's slope is below {SATURATED_SLOPE}",
        "percent",
        "Hardly any gradient passes through such an output. With relu, an output is saturated if it "
        "is 0, and this is normal for about half of the outputs.",
    ),
}
