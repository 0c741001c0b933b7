"""Separates ink from its background: unevenly lit paper, shadows, ruled lines, a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

PAPER_PIXELS = 200  # The side of the image on which the paper's brightness is estimated.
PAPER_WINDOW = 0.4  # The side of the windows for this estimate, as a share: wider than any stroke.
STROKE_PIXELS = 128  # The side of the image for the choice between dark and light strokes.
STROKE_WINDOWS = (1 / 8, 1 / 2)  # The sides of its windows, as shares: for thin and thick strokes.
DARKEST_PAPER = 0.25  # Below this brightness, noise is not amplified further.
EVEN = 0.01  # Differences in brightness, from 0 to 1, that every photo has.
NOISY = 0.015  # Noise (the median step from pixel to pixel) above which the photo is smoothed.
NOISE_PEAK = 6  # The maximum of noise in dark corners of blank paper, in units of that median.
MINIMUM_CONTRAST = 0.12  # Contrast of ink and paper, from 0 to 1. Below it nothing was drawn.
FAINT = 0.25  # Contrast of a ruled line, as a share of the ink's.
INK = 0.35  # The minimum for ink when pieces are separated. Ruled lines are fainter.
FULL_INK = 0.7  # The darkest pixel of every piece of ink reaches this. Shadows do not.
COARSE_PIXELS = 200  # The side of the mask on which pieces are separated.
SPECK = 0.03  # Pieces smaller than this share of the largest are dust.
MINIMUM_EXTENT = 0.02  # The minimum size of a drawing, as a share of the longer side.
EDGE = 0.03  # A piece at most this far from the edge touches it. A share of the side.
MARGIN = 0.15  # A piece that touches the edge is no drawing if its middle is this near.
# A part with a gap around it is a drawing of its own if it is this tall and this wide, as shares of
# the height of all ink. The bar of a 5 is not tall enough, and a dot neither.
TALL, WIDE = 0.6, 0.08
NOTHING_DRAWN = (
    "nothing drawn stands out from the background. Draw large, dark on light or light on dark."
)


def is_dark_on_light(gray: np.ndarray) -> bool:
    """Whether the drawing is darker than its background.

    If all pixels at the edge have the same brightness, they are the background. Otherwise the
    skewness decides. Strokes cover few pixels, so their difference from the mean of their
    surroundings has one long tail, while the edges of shadows have equal tails on both sides.
    The middle counts most, because a table may be visible at the border.

    Args:
        gray: float [height, width], from 0 to 1.
    """
    edge = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    if np.ptp(edge) < EVEN:
        return bool(edge[0] > gray.mean())
    small = _resized(gray, STROKE_PIXELS)
    across, down = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 3 for n in small.shape)
    skewness = 0.0
    for share in STROKE_WINDOWS:
        difference = small - _slide(small, max(3, int(max(small.shape) * share)), np.mean)
        spread = across @ difference**2 @ down
        skewness += float(across @ difference**3 @ down) / max(float(spread), 1e-9) ** 1.5
    return skewness < 0


def ink_of(gray: np.ndarray) -> np.ndarray:
    """The amount of ink on each pixel, for dark strokes on light paper in any light.

    The paper's brightness is estimated by removing the dark strokes with a morphological closing
    (the maximum, then the minimum of a window wider than a stroke). The ink of
    a pixel is how much darker than the paper it is.

    Args:
        gray: float [height, width], from 0 to 1.

    Returns:
        float [height, width], from 0 for paper to 1 for ink.

    Raises:
        ValueError: ink cannot be distinguished from paper.
    """
    noise = float(np.median(np.abs(np.diff(gray, axis=1)))) if gray.shape[1] > 1 else 0.0
    smooth = _slide(gray, 3, np.mean) if noise > NOISY else gray
    # The minimum of the neighbours, so that the bright side of a shadow's edge is not ink.
    paper = _slide(_closed(_resized(smooth, PAPER_PIXELS), PAPER_WINDOW), 3, np.min)
    paper = _resized(paper, gray.shape)
    darkness = (paper - smooth) / np.maximum(paper, DARKEST_PAPER)
    strokes = darkness > max(darkness.max() / 2, MINIMUM_CONTRAST / 2)
    if not strokes.any():
        raise ValueError(NOTHING_DRAWN)
    middle = np.median(darkness[~strokes])
    floor = middle + 3 * 1.4826 * np.median(np.abs(darkness[~strokes] - middle))
    full = np.percentile(darkness[strokes], 95)
    if noise > 0:  # In a photo, anything this faint is a ruled line rather than ink.
        floor = max(floor, FAINT * full)
    if full - floor < max(MINIMUM_CONTRAST, NOISE_PEAK * noise):
        raise ValueError(NOTHING_DRAWN)
    return np.clip((darkness - floor) / (full - floor), 0, 1)


def drawn_part(ink: np.ndarray) -> np.ndarray:
    """The area of the drawing: all pieces of ink with a narrow margin, without dust or table.

    Args:
        ink: float [height, width], from 0 to 1.

    Returns:
        bool [height, width].

    Raises:
        ValueError: no piece of ink is large enough.
    """
    factor = -(-max(ink.shape) // COARSE_PIXELS)
    height, width = (-(-n // factor) for n in ink.shape)
    padded = np.pad(ink, [(0, height * factor - ink.shape[0]), (0, width * factor - ink.shape[1])])
    strongest = padded.reshape(height, factor, width, factor).max((1, 3))
    coarse = strongest > INK
    pieces = [piece for piece in _pieces(coarse) if strongest[tuple(piece.T)].max() > FULL_INK]
    drawn = [piece for piece in pieces if not _is_surroundings(piece, coarse.shape)] or pieces
    drawn = [piece for piece in drawn if len(piece) >= SPECK * max(map(len, drawn))]
    kept = np.zeros_like(coarse)
    for piece in drawn:
        kept[tuple(piece.T)] = True
    extent = max(np.ptp(np.concatenate(drawn), axis=0)) + 1 if drawn else 0
    if extent < max(2, MINIMUM_EXTENT * max(coarse.shape)):
        raise ValueError(NOTHING_DRAWN)
    around = _slide(kept, 2 * (1 + extent // 10) + 1, np.max)
    return around.repeat(factor, 0).repeat(factor, 1)[: ink.shape[0], : ink.shape[1]]


def number_of_drawings(mask: np.ndarray) -> int:
    """How many drawings of similar size are next to each other, or one below the other.

    Args:
        mask: bool [height, width], the ink, cropped to it.

    Returns:
        At least 1. Drawings that touch or overlap each other count as one.
    """
    counts = [1]
    for across in (mask, mask.T):
        height = len(across)
        filled = np.flatnonzero(across.any(0))
        parts = np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1)
        large = 0
        for columns in parts:
            rows = np.flatnonzero(across[:, columns].any(1))
            tall = rows.size and np.ptp(rows) + 1 >= TALL * height
            large += bool(tall and len(columns) >= WIDE * height)
        counts.append(large)
    return max(counts)


def _resized(values: np.ndarray, size: int | tuple[int, ...]) -> np.ndarray:
    """Scales to a shape or, if `size` is an int, until the longer side has at most this length."""
    image = Image.fromarray(values.astype(np.float32))
    if isinstance(size, int):
        scale = min(1.0, size / max(values.shape))
        height, width = (max(1, round(n * scale)) for n in values.shape)
        return np.asarray(image.resize((width, height), Image.Resampling.BOX))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _closed(values: np.ndarray, share: float) -> np.ndarray:
    """Removes dark parts narrower than a share of the longer side: a morphological closing.

    Parts that become steadily darker towards the edge remain.
    """
    half = max(1, int(max(values.shape) * share) // 2)
    padded = np.pad(values, 2 * half, mode="edge")
    for reduce in (np.max, np.min):
        padded = _slide(padded, 2 * half + 1, reduce)
    return padded[2 * half : -2 * half, 2 * half : -2 * half]


def _slide(values: np.ndarray, size: int, reduce: Callable[..., np.ndarray]) -> np.ndarray:
    """A statistic of a square window around each pixel, with the pixels at the edge repeated."""
    for axis in (0, 1):
        margin = [(0, 0), (0, 0)]
        margin[axis] = (size // 2, size - 1 - size // 2)
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(values, margin, mode="edge"), size, axis
        )
        values = reduce(windows, axis=-1)
    return values


def _pieces(mask: np.ndarray) -> list[np.ndarray]:
    """The connected pieces of a mask, corners included: int [pixels, 2], rows and columns."""
    remaining = set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))
    pieces = []
    while remaining:
        border = [remaining.pop()]
        piece = list(border)
        while border:
            row, column = border.pop()
            around = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & remaining
            remaining -= around
            border += around
            piece += around
        pieces.append(np.array(piece))
    return pieces


def _is_surroundings(piece: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether a piece of "ink" is the table around the paper, a shadow's edge or a thumb."""
    last = np.array(shape) - 1
    near = EDGE * last
    sides = np.count_nonzero([*(piece.min(0) <= near), *(piece.max(0) >= last - near)])
    middle = piece.mean(0) / np.maximum(last, 1)
    return bool(sides >= 3 or (sides > 0 and np.any(np.abs(middle - 0.5) > 0.5 - MARGIN)))
