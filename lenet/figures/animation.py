"""GIFs of a training run: one frame per inspection, with its step and accuracy."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lenet.figures import tiles

FRAME_MILLISECONDS, LAST_MILLISECONDS = 250, 2_000
STAMP_HEIGHT, STAMP_SIZE, WIDTH = 40, 22, 1_200
NUM_UNITS = 32  # Units shown of a fully connected layer; more would make the file too large.


def kernel_frames(kernels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The kernels of a convolution during training, all on one scale, so that they are comparable.

    Args:
        kernels: float [height, width, inputs, outputs] each.

    Returns:
        uint8 [h, w, 1 or 3] each.
    """
    scaled = tiles.to_uint8(tiles.as_colours(np.stack(kernels)))
    return [tiles.tile(kernel.transpose(3, 0, 1, 2)) for kernel in scaled]


def unit_image_frames(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The weights of the first units of a fully connected layer, as images, all on one scale.

    Args:
        weights: float [height, width, channels, units] each.

    Returns:
        uint8 [h, w, 1 or 3] each.
    """
    return kernel_frames([of_units[..., :NUM_UNITS] for of_units in weights])


def feature_map_frames(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The feature maps of one image during training, each scaled to its own range.

    Args:
        maps: float [height, width, channels] each.

    Returns:
        uint8 [h, w, 1] each.
    """
    return [tiles.maps(m) for m in maps]


def gif(frames: Sequence[np.ndarray], stamps: Sequence[str], title: str) -> bytes:
    """An animation that pauses on its last frame before it repeats.

    Args:
        frames: uint8 [height, width, 1 or 3] each, of one size; at least one.
        stamps: one line for each frame. No two may be equal, because equal frames are merged.
        title: a line above every frame.
    """
    images = [
        Image.fromarray(_stamped(frame, stamp, title))
        for frame, stamp in zip(frames, stamps, strict=True)
    ]
    durations = [FRAME_MILLISECONDS] * (len(images) - 1) + [LAST_MILLISECONDS]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "gif", save_all=True, append_images=images[1:], duration=durations, loop=0
    )
    return buffer.getvalue()


def still(frame: np.ndarray, stamp: str, title: str) -> bytes:
    """One frame as a PNG."""
    return tiles.png(_stamped(frame, stamp, title), tiles.SMALLER)


def _stamped(frame: np.ndarray, stamp: str, title: str) -> np.ndarray:
    """A frame enlarged to about the width of the figures, with its two lines; uint8 [h, w, 3]."""
    enlarged = tiles.enlarge(frame, max(1, WIDTH // frame.shape[1]))
    height, width = enlarged.shape[:2]
    font = ImageFont.load_default(STAMP_SIZE)
    # The canvas is wide enough for the text, even if the frame is narrower.
    needed = int(max(font.getlength(stamp), font.getlength(title))) + 12
    canvas = Image.new("RGB", (max(width, needed), height + 2 * STAMP_HEIGHT), "white")
    colours = Image.fromarray(np.broadcast_to(enlarged, (height, width, 3)))
    canvas.paste(colours, ((canvas.width - width) // 2, STAMP_HEIGHT))
    draw = ImageDraw.Draw(canvas)
    draw.text((6, STAMP_HEIGHT // 2), title, "black", font, anchor="lm")
    draw.text((6, STAMP_HEIGHT * 3 // 2 + height), stamp, "black", font, anchor="lm")
    return np.asarray(canvas)
