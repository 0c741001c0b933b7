"""The input of a network and what its layers compute: images, feature maps, features by class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenet.figures.style import (
    DIVERGING,
    GRAY,
    PERCEPTUAL,
    WIDTH,
    counted,
    mosaic,
    new_axes,
    number_size,
    set_title,
    show_matrix,
    width_of,
    without_ticks,
)

SMALLEST_NUMBER = 4.0  # Points. Smaller numbers of units are left out.
CROWDED = 5  # With more maps than this in a row, only the first of each row is numbered.


def image(pixels: np.ndarray, ax: Axes | None = None, title: str = "") -> Axes:
    """One image of a data set, gray or in colour, without rescaling its brightness.

    Args:
        pixels: uint8 or float from 0 to 1, [height, width, 1 or 3].
    """
    ax = new_axes(ax, width=3.0, height=3.2)
    white = 255 if pixels.dtype == np.uint8 else 1
    ax.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap=GRAY, vmin=0, vmax=white)
    without_ticks(ax)
    ax.set_title(title, fontsize=10)
    return ax


def inputs(images: np.ndarray, labels: Sequence[str], columns: int = 10, title: str = "") -> Figure:
    """A grid of images, each with its class above it.

    Args:
        images: uint8 [n, height, width, channels].
        labels: n class names.
    """
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(WIDTH, 0.6 + 1.45 * rows), layout="constrained")
    figure.suptitle(title)
    for index, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        image(pixels, figure.add_subplot(rows, columns, index + 1), label)
    return figure


def feature_maps(
    maps: np.ndarray, name: str = "conv", ax: Axes | None = None, when: str = "after the activation"
) -> Axes:
    """The feature maps of one image, numbered, all on one scale.

    Args:
        maps: float [height, width, channels].
        when: whether they are from before or after the activation, for the title.
    """
    height, width, channels = maps.shape
    columns = math.ceil(math.sqrt(channels))
    rows = -(-channels // columns)
    ax = new_axes(ax, width=8.0, height=0.7 + 8.0 * rows / columns)
    low, high = float(maps.min()), float(maps.max())
    scaled = (maps - low) / (high - low) if high > low else np.full_like(maps, 0.5)
    crowded = columns > CROWDED
    gap = max(1, height // 12) if crowded else max(2, height // 5)
    canvas, positions = mosaic(np.moveaxis(scaled, -1, 0), columns, gap)
    show_matrix(canvas, ax, limits=(0, 1))
    ax.set_aspect("equal")
    without_ticks(ax)
    ax.set_frame_on(False)
    for index, (x, y) in enumerate(positions):
        size = number_size(ax, gap, 8)
        if not crowded and size:
            ax.text(x, y, f"{index}", ha="center", va="bottom", fontsize=size)
        elif crowded and index % columns == 0:
            position = (x - width / 2 - gap, y + height / 2)
            ax.text(*position, f"{index}", ha="right", va="center", fontsize=8)
    ends = f"black is {low:.3g}, white {high:.3g}" if high > low else f"all outputs are {low:.3g}"
    what = f"{name}: {counted(channels, 'map')} of {height}×{width}"
    set_title(ax, f"{what}, {when}\n{ends}", pad=16)
    return ax


def all_feature_maps(
    shown: np.ndarray,
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
    title: str = "",
) -> Figure:
    """The feature maps of every convolution for one image, before and after its activation.

    Args:
        shown: the image, uint8 [height, width, channels].
        before, after: feature maps by layer, float [height, width, channels].
    """
    figure = Figure(figsize=(WIDTH, 0.8 + 4.2 * len(after)), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(len(after), 3, width_ratios=[1, 2, 2])
    image(shown, figure.add_subplot(grid[0, 0]), "input")
    for row, name in enumerate(after):
        for column, (maps, when) in enumerate(
            ((before[name], "before the activation"), (after[name], "after the activation"))
        ):
            feature_maps(maps, name, figure.add_subplot(grid[row, column + 1]), when)
    return figure


def feature_map_of_class(
    features: np.ndarray,
    name: str = "",
    ax: Axes | None = None,
    colormap: str = GRAY,
    limits: tuple[float, float] | None = None,
    bar: str | None = "activation",
    units: Sequence[int] = (),
) -> Axes:
    """The features of many images of one class: a row per image, a column per unit.

    A column with the same brightness in all rows is a feature that these images share.

    Args:
        features: float [images, units].
        limits: the activations shown in black and in white; default: the minimum and the maximum.
        units: the number of the unit in each column; default: the columns are in this order.
    """
    ax = new_axes(ax, width=8.0, height=8.0)
    show_matrix(features, ax, colormap=colormap, limits=limits, bar=bar)
    _number_units(ax, units)
    ax.set_ylabel("test image")
    set_title(ax, name)
    return ax


def feature_maps_of_classes(
    maps: Mapping[str, np.ndarray],
    colormap: str = PERCEPTUAL,
    title: str = "",
    units: Sequence[int] = (),
) -> Figure:
    """All classes next to each other on one scale, in gray above and in colour below.

    Args:
        maps: features by class name, float [images, units].
        colormap: the colours of the lower row.
        units: the number of the unit in each column; default: the columns are in this order.
    """
    limits = (
        float(min(m.min() for m in maps.values())),
        float(max(m.max() for m in maps.values())),
    )
    figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
    figure.suptitle(title)
    for row, colors in enumerate((GRAY, colormap)):
        row_axes, shown = [], None
        for column, (name, features) in enumerate(maps.items()):
            ax = figure.add_subplot(2, len(maps), row * len(maps) + column + 1)
            shown = show_matrix(features, ax, colormap=colors, limits=limits)
            if row == 0:
                ax.set_title(name, fontsize=10)
            else:
                ax.set_xlabel("sorted units" if len(units) else "unit", fontsize=8)
            if len(units):  # There is no room for their numbers.
                ax.set_xticks([])
            if column == 0:
                ax.set_ylabel("test image", fontsize=8)
            else:
                ax.set_yticks([])
            ax.tick_params(labelsize=7)
            row_axes.append(ax)
        assert shown is not None
        figure.colorbar(shown, ax=row_axes, label="activation", fraction=0.02, pad=0.01)
    return figure


def sorted_units(
    means: np.ndarray,
    features: np.ndarray,
    images: Sequence[int],
    class_names: Sequence[str],
    units: Sequence[int],
    groups: Sequence[int],
    title: str = "",
) -> Figure:
    """The mean features of each class, and below them the features of many images, class by class.

    Args:
        means: float [classes, units].
        features: float [n, units], class by class.
        images: the number of images of each class.
        class_names: the names of the classes.
        units: the number of the unit in each column.
        groups: the number of units that speak for each class, in the order of the columns.
    """
    limits = float(features.min()), float(features.max())
    figure = Figure(figsize=(WIDTH, 5.6), layout="constrained")  # As high as a laptop's screen.
    figure.suptitle(title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    show_matrix(means, above, colormap=PERCEPTUAL, limits=limits)
    shown = show_matrix(features, below, colormap=PERCEPTUAL, limits=limits)
    figure.colorbar(shown, ax=[above, below], label="activation", fraction=0.02, pad=0.01)
    above.set_yticks(range(len(class_names)), class_names)
    above.set_ylabel("mean of class")
    below.set_yticks(np.cumsum(images) - np.array(images) / 2 - 0.5, class_names)
    below.set_ylabel("test images of class")
    above.tick_params(bottom=False)
    _number_units(below, units)
    ends = np.cumsum(groups)
    for ax in (above, below):
        ax.vlines(ends[ends < len(units)] - 0.5, *ax.get_ylim(), color="white", linewidth=0.8)
    names = above.secondary_xaxis("top")
    named = [index for index, count in enumerate(groups) if count]
    names.set_xticks(
        [float(ends[index] - groups[index] / 2 - 0.5) for index in named],
        [class_names[index] for index in named],
        rotation=_tilt(class_names),
    )
    names.tick_params(length=0)
    return figure


def class_means(
    means: np.ndarray,
    similarity: np.ndarray | None,
    class_names: Sequence[str],
    title: str = "",
    units: Sequence[int] = (),
) -> Figure:
    """The mean features of each class, and how similar the classes are.

    Args:
        means: float [classes, units].
        similarity: float [classes, classes], from -1 to 1; None if the features do not depend on
            the class.
        units: the number of the unit in each column; default: the columns are in this order.
    """
    figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    show_matrix(means, left, colormap=PERCEPTUAL, bar="mean activation")
    left.set_yticks(range(len(class_names)), class_names)
    _number_units(left, units)
    left.set_ylabel("class")
    left.set_title("mean activation of each unit", fontsize=11)
    right.set_title("similarity of the classes", fontsize=11)
    if similarity is None:
        right.set_axis_off()
        right.text(0.5, 0.5, "The activations do not\ndepend on the class.", ha="center")
        return figure
    show_matrix(similarity, right, colormap=DIVERGING, limits=(-1, 1), bar="similarity")
    right.set_aspect("equal")
    right.set_xticks(range(len(class_names)), class_names, rotation=_tilt(class_names))
    right.set_yticks(range(len(class_names)), class_names)
    if len(class_names) <= 12:
        _write_numbers(similarity, right, "{:.1f}")
    return figure


def _number_units(ax: Axes, units: Sequence[int]) -> None:
    """Labels the columns of a map, with the number of each unit if the units are sorted."""
    ax.set_xlabel("number of the unit, sorted by class" if len(units) else "unit")
    size = min(8.0, 72 * width_of(ax) / max(1, len(units)))
    if len(units) and size >= SMALLEST_NUMBER:
        ax.set_xticks(range(len(units)), [str(unit) for unit in units], rotation=90, fontsize=size)
    elif len(units):
        ax.set_xticks([])


def _tilt(names: Sequence[str]) -> float:
    return 90 if max(map(len, names)) > 2 else 0


def _write_numbers(values: np.ndarray, ax: Axes, form: str) -> None:
    """Writes each number of a matrix from -1 to 1, which has a diverging colour map."""
    for (row, column), value in np.ndenumerate(values):
        color = "white" if abs(value) > 0.6 else "black"
        text = form.format(round(value, 1) + 0.0)
        ax.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
