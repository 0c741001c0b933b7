"""The learning curves of a report, with one panel per activation.

If all runs have the same activation, there is one panel per combination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.report.data import Combination, Comparison
from experiments.report.images import Image, drawing, variant_look
from lenet.figures import comparison as figures

# If the best test accuracy is at least 95 %, an extra panel shows the range from 90 % up.
ZOOM, ZOOM_FROM_BEST = 0.9, 0.95


@dataclass(frozen=True)
class CurvesPanel:
    """The learning curves of some combinations.

    Attributes:
        target: the id of this panel in the page.
        name: what all its combinations have in common.
        image: None if nothing was measured.
    """

    target: str
    name: str
    combinations: Sequence[Combination]
    image: Image | None


def curves_panels(comparison: Comparison, last_step: int) -> list[CurvesPanel]:
    """All learning curves, with the same axis ranges.

    Args:
        last_step: the end of the x axes.
    """
    if len(comparison.activations) == 1:
        groups = {c.variant: [c] for c in comparison.combinations}
    else:
        groups = {name: comparison.with_activation(name) for name in comparison.activations}
    return [
        CurvesPanel(
            target=f"curves-{combinations[0].number}",
            name=name,
            combinations=combinations,
            image=_draw(comparison, last_step, name, combinations),
        )
        for name, combinations in groups.items()
    ]


def _draw(
    comparison: Comparison, last_step: int, name: str, combinations: Sequence[Combination]
) -> Image | None:
    loss = _lines(comparison, combinations, "loss")
    if not any(line.test or line.train for line in loss):
        return None
    finished = [run for run in comparison.runs if run.done]
    best = max((run.test_accuracy for run in finished), default=0.0)
    classes = comparison.runs[0].record.num_classes
    guess = float(np.log(classes))
    # The axis also has room for the high test loss of an overfitted network.
    later = [run.record.test_loss[1][1:] for run in finished]
    highest = max((float(np.nanmax(losses, initial=0)) for losses in later), default=0.0)
    figure = figures.learning_panels(
        loss,
        _lines(comparison, combinations, "accuracy"),
        classes,
        last_step,
        min(max(1.25 * guess, 1.05 * highest), 3 * guess),
        ZOOM if best >= ZOOM_FROM_BEST else None,
    )
    return drawing(figure, f"Loss and accuracy over the steps, {name}")


def _lines(
    comparison: Comparison, combinations: Sequence[Combination], name: str
) -> list[figures.Line]:
    lines = []
    for combination in combinations:
        measured = combination.done or [run for run in combination.runs if run.record.step]
        train = [getattr(run.record, f"train_{name}") for run in measured]
        test = [getattr(run.record, f"test_{name}") for run in measured]
        validation = [getattr(run.record, f"validation_{name}") for run in measured]
        look = variant_look(comparison, combination)
        kept = [run.record.best_step for run in measured if run.record.best_step is not None]
        shown = figures.Line(*look, train, test, validation, kept, combination.variant)
        lines.append(shown)
    return lines
