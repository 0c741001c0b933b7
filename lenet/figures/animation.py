"""GIFs of a training: one frame per recorded inspection, the step and the accuracy stamped on it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lenet.figures import tiles

FRAME_MILLISECONDS, LAST_MILLISECONDS = 250, 2_000
STAMP_HEIGHT, STAMP_SIZE, WIDTH = 40, 22, 1_200


def kernel_frames(kernels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The kernels of a convolution through training, all over one range, so that they compare.

    Args:
        kernels: float [height, width, inputs, outputs] each.

    Returns:
        uint8 [h, w, 1 or 3] each.
    """
    everything = np.stack([kernel[:, :, :3] for kernel in kernels])
    if everything.shape[3] == 2:
        everything = np.concatenate([everything, np.zeros_like(everything[:, :, :, :1])], axis=3)
    scaled = tiles.to_uint8(everything)
    return [tiles.tile(kernel.transpose(3, 0, 1, 2)) for kernel in scaled]


def feature_map_frames(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The feature maps of one image through training, each over its own range.

    Args:
        maps: float [height, width, channels] each.

    Returns:
        uint8 [h, w, 1] each.
    """
    return [tiles.maps(m) for m in maps]


def gif(frames: Sequence[np.ndarray], stamps: Sequence[str], title: str) -> bytes:
    """An animation that plays once through and rests on its last frame before it starts again.

    Args:
        frames: uint8 [height, width, 1 or 3] each, of one size; at least one.
        stamps: a line for each frame. They differ, since equal frames would be merged.
        title: a line above all of them.
    """
    pictures = [_stamped(f, stamp, title) for f, stamp in zip(frames, stamps, strict=True)]
    durations = [FRAME_MILLISECONDS] * (len(pictures) - 1) + [LAST_MILLISECONDS]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "gif", save_all=True, append_images=pictures[1:], duration=durations, loop=0
    )
    return buffer.getvalue()


def still(frame: np.ndarray, stamp: str, title: str) -> bytes:
    """One frame as a PNG."""
    buffer = io.BytesIO()
    _stamped(frame, stamp, title).save(buffer, "png")
    return buffer.getvalue()


def _stamped(frame: np.ndarray, stamp: str, title: str) -> Image.Image:
    factor = max(1, WIDTH // frame.shape[1])  # As wide as the figures, or nearly.
    enlarged = frame.repeat(factor, axis=0).repeat(factor, axis=1)
    if enlarged.shape[-1] == 1:
        enlarged = enlarged.repeat(3, axis=2)
    font = ImageFont.load_default(STAMP_SIZE)
    height, width = enlarged.shape[:2]
    # Wide enough for the words, whatever the picture is.
    needed = int(max(font.getlength(stamp), font.getlength(title))) + 12
    canvas = Image.new("RGB", (max(width, needed), height + 2 * STAMP_HEIGHT), "white")
    canvas.paste(Image.fromarray(enlarged), ((canvas.width - width) // 2, STAMP_HEIGHT))
    draw = ImageDraw.Draw(canvas)
    draw.text((6, STAMP_HEIGHT // 2), title, "black", font, anchor="lm")
    draw.text((6, STAMP_HEIGHT * 3 // 2 + height), stamp, "black", font, anchor="lm")
    return canvas
