"""Saves a figure as the bytes of a file: sharp pixels on a screen, and exact matrices in print."""

from __future__ import annotations

import io
import math
import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.transforms import Bbox

READABLE, SMALLEST_INSIDE = 7.0, 4.0  # Points.
THINNEST = 0.5  # Lines keep at least half of their width.
# Axes may grow or shrink by these factors until each number has whole pixels.
LARGEST_GROWTH, LARGEST_LOSS = 1.03, 0.75
UNSMOOTHED = ("nearest", "none")
# 42: fonts as TrueType, which publishers ask for.
RC: Any = {"pdf.fonttype": 42, "ps.fonttype": 42}


def encode(figure: Figure, format: str, dpi: int, width: float | None = None) -> bytes:
    """A figure as the bytes of a file.

    In SVG and PDF, each number of a matrix is one pixel of the embedded image. In PNG, it is a
    block of whole pixels, if there are enough of them.

    Args:
        format: "png", "svg" or "pdf".
        dpi: pixels per inch of a PNG.
        width: the width in inches, see `resize`; default: that of the figure.
    """
    if width is not None:
        resize(figure, width)
    images = [image for ax in figure.axes for image in ax.images if isinstance(image, AxesImage)]
    before = [image.get_interpolation() for image in images]
    engine, own_dpi, size = figure.get_layout_engine(), figure.dpi, figure.get_size_inches()
    shapes = [(ax, ax.get_in_layout(), ax.get_box_aspect()) for ax in figure.axes]
    buffer = io.BytesIO()
    try:
        if format == "png":
            _align_with_pixels(figure, images, dpi)
        else:
            for image in images:
                image.set_interpolation("none")
        with mpl.rc_context(RC):
            figure.savefig(buffer, format=format, dpi=dpi)
    finally:  # The figure may be saved again, in another format.
        figure.set_dpi(own_dpi)
        figure.set_size_inches(*size)
        for ax, in_layout, aspect in shapes:
            ax.set_in_layout(in_layout)
            ax.set_box_aspect(aspect)
        figure.set_layout_engine(engine)
        for image, interpolation in zip(images, before, strict=True):
            image.set_interpolation(interpolation)
    return buffer.getvalue()


def resize(figure: Figure, width: float) -> None:
    """Changes a figure's width with its height. Its text becomes smaller only as far as necessary.

    Titles and labels keep 7 points if they fit without touching each other, otherwise fewer, down to
    the scale of the figure. Text inside Axes keeps its place, so it gets the scale of the figure; if
    it would be below 4 points, it is left out.

    Args:
        width: inches.
    """
    scale = width / figure.get_figwidth()
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    points = {text: float(text.get_fontsize()) for text in texts}
    ticks = {axis: _tick_size(axis) for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)}
    figure.set_size_inches(width, figure.get_figheight() * scale)
    for line in (line for ax in figure.axes for line in ax.lines):
        line.set_linewidth(line.get_linewidth() * max(scale, THINNEST))
        line.set_markersize(line.get_markersize() * max(scale, THINNEST))
    for text in (text for ax in figure.axes for text in ax.texts if text in points):
        size = points.pop(text) * scale
        text.set_fontsize(size)
        text.set_visible(text.get_visible() and size >= SMALLEST_INSIDE)
    for smallest in (READABLE, 6.0, 5.0, 0.0):
        for text, size in points.items():
            text.set_fontsize(max(smallest, size * scale))
        for axis, size in ticks.items():
            axis.set_tick_params(labelsize=max(smallest, size * scale))
        for ax in figure.axes:
            _draw_legend_again(ax, max(smallest, 10 * scale))
        with warnings.catch_warnings(record=True) as too_small:
            warnings.simplefilter("always")
            if not _crowded(figure) and not too_small:  # The layout has warned.
                break


def smallest_text(figure: Figure) -> float:
    """The size of the smallest text that is drawn, in points; infinity without text."""
    return min((float(text.get_fontsize()) for text in _shown_texts(figure)), default=math.inf)


def _draw_legend_again(ax: Axes, size: float) -> None:
    """Replaces a legend by the same one with smaller text, spaces and lines."""
    legend = ax.get_legend()
    if legend is not None:
        handles, labels = ax.get_legend_handles_labels()
        columns = getattr(legend, "_ncols", 1)
        frame = legend.get_frame_on()
        ax.legend(handles, labels, fontsize=size, ncols=columns, frameon=frame, loc="best")


def _tick_size(axis: Axis) -> float:
    """The size of the labels of an axis, in points."""
    return float(Text(fontsize=axis.get_tick_params().get("labelsize", "medium")).get_fontsize())


def _crowded(figure: Figure) -> bool:
    """Whether texts touch each other or are cut off, or a legend is wider than its Axes.

    Breaks lines that are wider than the figure.
    """
    figure.draw_without_rendering()
    for text in _shown_texts(figure):
        if text.get_window_extent().width > figure.bbox.width:
            text.set_wrap(True)
    figure.draw_without_rendering()
    for ax in figure.axes:
        legend = ax.get_legend()
        if legend and legend.get_window_extent().width > ax.get_window_extent().width:
            return True
    boxes = np.array([text.get_window_extent().extents for text in _shown_texts(figure)])
    low, high = boxes.reshape(-1, 4)[:, :2], boxes.reshape(-1, 4)[:, 2:]
    if (low < -1).any() or (high > np.add(figure.bbox.size, 1)).any():
        return True
    common = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    return bool(np.triu((common > 1).all(axis=2), 1).any())


def _shown_texts(figure: Figure) -> list[Text]:
    """The texts that are drawn. An axis also has labels for ticks beyond its limits."""
    hidden: set[Text] = set()
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not low <= tick.get_loc() <= high:
                hidden |= {tick.label1, tick.label2}
    found = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return [t for t in found if t.get_text().strip() and t.get_visible() and t not in hidden]


def _align_with_pixels(figure: Figure, images: list[AxesImage], dpi: int) -> None:
    """Changes the size of the Axes of every matrix a little, so that all its blocks are equal."""
    figure.set_dpi(dpi)
    figure.draw_without_rendering()  # The layout engine decides all positions.
    matrices = [image for image in images if image.get_interpolation() in UNSMOOTHED]
    free = [pixels_per_unit(image)[1] for image in matrices if image.axes.get_aspect() == "auto"]
    wanted = [np.ceil(each) / each for each in free if np.floor(each) < LARGEST_LOSS * each]
    if wanted:  # A higher figure is better than much smaller Axes.
        figure.set_figheight(figure.get_figheight() * max(wanted) * 1.01)
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for image in matrices:
        _align_axes(image)


def pixels_per_unit(image: AxesImage) -> np.ndarray:
    """The size of one block of a matrix, across and down, in pixels."""
    ax = image.axes
    extent = ax.get_window_extent()
    units = np.ptp([ax.get_xlim(), ax.get_ylim()], axis=1)
    return np.array([extent.width, extent.height]) / units


def _align_axes(image: AxesImage) -> None:
    """Changes the position of Axes: the number of pixels is a multiple of the number of units."""
    ax, found = image.axes, pixels_per_unit(image)
    smaller, larger = np.floor(found), np.floor(found * LARGEST_GROWTH)
    blocks = np.where(smaller >= LARGEST_LOSS * found, smaller, np.maximum(larger, found))
    if ax.get_aspect() != "auto":
        blocks[:] = blocks.min()
    extent = ax.get_window_extent()
    size = np.array([extent.width, extent.height]) * blocks / found
    left, bottom = np.round([extent.x0, extent.y0] + (extent.size - size) / 2)
    pixels = Bbox.from_bounds(left, bottom, *size)
    parent = ax.get_figure(root=False)
    assert parent is not None
    position = pixels.transformed(parent.transSubfigure.inverted())
    ax.set_position(position)
    bar = image.colorbar
    if bar is not None and bar.orientation == "vertical":
        beside = bar.ax.get_position()
        bar.ax.set_box_aspect(None)
        bar.ax.set_aspect("auto")
        bar.ax.set_position(Bbox([[beside.x0, position.y0], [beside.x1, position.y1]]))
