"""One file of the gallery: a figure with its name and its caption."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class CaptionedFigure:
    """A figure, an animation or a diagram, and what to look for in it.

    Attributes:
        name: the name of its file without the suffix, e.g. "kernels_conv1".
        content: a matplotlib figure, or the bytes of a file that matplotlib does not draw.
        caption: what a student should look for.
        suffix: the suffix of the file if `content` is bytes, e.g. ".gif". A matplotlib figure is
            saved in the format that the user chose.
        still: for an animation, its last frame as a PNG.
    """

    name: str
    content: Figure | bytes
    caption: str
    suffix: str = ""
    still: bytes = b""
