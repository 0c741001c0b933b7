"""One image on its way through a network, in one figure: preparation, layers and answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Annotation

from lenet.figures import single_image
from lenet.figures.single_image import MARK, NOTE_COLOR, percentage, plain
from lenet.figures.style import PERCEPTUAL, WIDTH

if TYPE_CHECKING:
    from lenet.data.preparation import Stage

ARROW_GAP = 0.16  # The gap between two stages, as a share of an image's width.
MINIMUM_STAGE_COLUMNS = 5  # Keeps a few stages on the left, with short arrows between them.
OCCLUSION, SALIENCY = PERCEPTUAL, "inferno"
# Heights of the figure's rows, from top to bottom.
HEADER_INCHES, STAGES_INCHES, UNITS_INCHES, ANSWER_INCHES, HEAT_INCHES = 0.8, 2.45, 1.7, 2.5, 3.9
LONGEST_HEADLINE = 80


def explanation(
    stages: Sequence[Stage],
    convolutions: Mapping[str, np.ndarray],
    dense: Mapping[str, np.ndarray],
    logits: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    activations: Mapping[str, str],
    headline: str = "",
    subtitle: str = "",
    contributions: np.ndarray | None = None,
    occlusion: np.ndarray | None = None,
    patch: int = 0,
    saliency: np.ndarray | None = None,
) -> Figure:
    """Everything between the user's image and the answer, from top to bottom, in one figure.

    Args:
        stages: the preparation of the image; the last is what the network sees.
        convolutions: feature maps by layer, float [height, width, channels].
        dense: outputs of the fully connected layers but the last, by layer, float [units].
        logits, probabilities: float [classes].
        activations: the activation function of each of these layers, e.g. "relu", by layer.
        contributions: what each unit of the last layer in `dense` adds to the logit of the
            predicted class, float [units].
        occlusion: the probability of the predicted class while a gray patch hides the surroundings
            of each pixel, float [height, width].
        patch: the side of that patch, in pixels.
        saliency: how much the logit of the predicted class changes with each pixel, float
            [height, width].
    """
    answer = plain(class_names[int(probabilities.argmax())])
    has_heat = occlusion is not None or saliency is not None
    heights = [STAGES_INCHES, *map(single_image.maps_inches, convolutions.values())]
    heights += [UNITS_INCHES] * len(dense) + [ANSWER_INCHES] + [HEAT_INCHES] * has_heat
    figure, rows = _sheet(heights, headline, subtitle)

    _stages_row(next(rows), stages)
    for name, maps in convolutions.items():
        _maps_row(next(rows), name, maps, activations[name])
    for name, outputs in dense.items():
        of_last = contributions if name == list(dense)[-1] else None
        _units_row(next(rows), name, outputs, activations[name], of_last, answer)
    _answer_row(next(rows), logits, probabilities, class_names)
    if has_heat:
        _heat_row(next(rows), stages[-1].picture, occlusion, patch, saliency, answer)
    return figure


def _sheet(
    heights: Sequence[float], headline: str, subtitle: str
) -> tuple[Figure, Iterator[SubFigure]]:
    """An empty figure with its headline, and its rows from top to bottom."""
    total = HEADER_INCHES + sum(heights)
    figure = Figure(figsize=(WIDTH, total), layout=ConstrainedLayoutEngine(w_pad=0.12))
    parts = figure.subfigures(1 + len(heights), 1, height_ratios=[HEADER_INCHES, *heights])
    header, *rows = np.asarray(parts)
    for y, text, longest, size, options in (
        (0.68, headline, LONGEST_HEADLINE, 17, {"fontweight": "bold"}),
        (0.24, subtitle, 2 * LONGEST_HEADLINE, 10, {"color": NOTE_COLOR}),
    ):
        header.text(0.012, y, plain(text, longest), fontsize=size, va="center", **options)
    return figure, iter(rows)


def _heading(row: SubFigure, heading: str, note: str) -> None:
    """Writes the title of a row on the left, in bold, followed by a note on what the row shows."""
    text = row.suptitle(heading, x=0.012, ha="left", fontsize=11, fontweight="bold")
    after = Annotation(
        note, (1, 0), (9, 0.5), xycoords=text, textcoords="offset points", fontsize=9.5
    )
    after.set(color=NOTE_COLOR, in_layout=False, verticalalignment="bottom")
    row.add_artist(after)


def _stages_row(row: SubFigure, stages: Sequence[Stage]) -> None:
    _heading(row, "Preparation", "from your image to what the network sees")
    widths = [np.clip(s.picture.shape[1] / s.picture.shape[0], 0.75, 1.35) for s in stages]
    widths += [1.0] * (MINIMUM_STAGE_COLUMNS - len(stages))
    grid = row.add_gridspec(1, len(widths), width_ratios=widths, wspace=ARROW_GAP)
    for index, stage in enumerate(stages):
        ax = row.add_subplot(grid[index])
        single_image.stage(stage.picture, stage.title, stage.note, ax, stage.box, stage.middle)
        if index:
            ax.annotate(
                "→", (0, 0.5), (-5, 0), "axes fraction", "offset points", ha="right", va="center",
                fontsize=15, color=MARK, in_layout=False,
            )  # fmt: skip


def _maps_row(row: SubFigure, name: str, maps: np.ndarray, activation: str) -> None:
    height, width, channels = maps.shape
    _heading(
        row,
        f"{name}: {channels} feature maps of {width} × {height}",
        f"after {activation}; each map shows where one kernel finds its pattern",
    )
    single_image.layer_maps(maps, row.add_subplot())


def _units_row(
    row: SubFigure,
    name: str,
    outputs: np.ndarray,
    activation: str,
    contributions: np.ndarray | None,
    answer: str,
) -> None:
    silent = np.count_nonzero(outputs == 0)
    note = f"after {activation}" + (f"; {silent} of them silent (output 0)" if silent else "")
    _heading(row, f"{name}: {len(outputs)} units", note)
    single_image.unit_bars(outputs, row.add_subplot(), contributions, answer)


def _answer_row(
    row: SubFigure, logits: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> None:
    _heading(
        row,
        "The answer",
        "the logit of each class, and the probabilities that softmax computes from the logits",
    )
    predicted = int(probabilities.argmax())
    left, right = row.subplots(1, 2)
    single_image.class_bars(logits, class_names, predicted, left)
    single_image.class_bars(probabilities, class_names, predicted, right, percent=True)


def _heat_row(
    row: SubFigure,
    seen: np.ndarray,
    occlusion: np.ndarray | None,
    patch: int,
    saliency: np.ndarray | None,
    answer: str,
) -> None:
    _heading(row, f"What the answer {answer} depends on", "pixel by pixel")
    columns = iter(row.add_gridspec(1, 3))
    single_image.stage(seen, "What the network sees", "", row.add_subplot(next(columns)))
    if occlusion is not None:
        title = (
            f"Occlusion: probability of {answer} with a gray\n"
            f"patch of {patch} × {patch} pixels here ({percentage(occlusion.min())} at the lowest)"
        )
        ax = single_image.heat_over(
            seen,
            occlusion,
            row.add_subplot(next(columns)),
            f"probability of {answer}",
            colormap=OCCLUSION,
        )
        ax.set_title(title, fontsize=10)
    if saliency is not None:
        title = f"Gradient: how much the logit of {answer}\nchanges if this pixel changes a little"
        ax = single_image.heat_over(
            seen,
            saliency,
            row.add_subplot(next(columns)),
            "|∂ logit / ∂ pixel|",
            colormap=SALIENCY,
        )
        ax.set_title(title, fontsize=10)
