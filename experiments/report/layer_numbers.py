"""The last value of each diagnostic in each layer, as tables that compare all combinations.

The numbers are those of the run whose kernels and maps the page shows, so that they are the same as
in the sentences about it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.report.data import Combination, Comparison, Run
from experiments.report.statistics import NO_VALUE
from lenet.diagnosis import number, percent, percent_of_size
from lenet.diagnostics import DIAGNOSTICS

HIDDEN_ONLY = ("slope", "dead_fraction", "saturated_fraction")  # The output layer is linear.
AS_PERCENT = ("update_ratio", "distance_moved")


@dataclass(frozen=True)
class LayerTable:
    """One diagnostic, a row for each combination and a column for each layer.

    Attributes:
        caption: its meaning, and where it is lowest and highest.
        rows: () if every value is 0.
    """

    heading: str
    caption: str
    layers: Sequence[str]
    rows: Sequence[tuple[Combination, Sequence[str]]]


def layer_tables(comparison: Comparison) -> list[LayerTable]:
    """A table for each diagnostic that was recorded."""
    tables = []
    for kind, diagnostic in DIAGNOSTICS.items():
        values = _values(comparison.combinations, kind)
        layers = list(dict.fromkeys(layer for by_layer in values.values() for layer in by_layer))
        if not layers:
            continue
        rows = [
            (c, [_cell(kind, values[c.number].get(layer, math.nan)) for layer in layers])
            for c in comparison.combinations
            if c.number in values
        ]
        zero = not any(value for by_layer in values.values() for value in by_layer.values())
        caption = f"{diagnostic.sentences} {extremes(comparison.combinations, kind)}"
        unit = ", in %" if _in_percent(kind) else ""
        heading = f"{diagnostic.title}{unit}"
        tables.append(LayerTable(heading, caption, layers, () if zero else rows))
    return tables


def extremes(combinations: Sequence[Combination], kind: str, every_seed: bool = False) -> str:
    """Where a diagnostic is lowest and highest at the end of training, as sentences.

    Args:
        every_seed: whether all seeds count. Otherwise, only the run that the page shows counts.
    """
    places = []
    for combination in combinations:
        runs = (combination.done if every_seed else []) or [combination.shown]
        for run in runs:
            seed = f", seed {run.config.seed}" if len(runs) > 1 else ""
            places += [
                (value, f"{_text(kind, value)} ({layer}, {combination.label}{seed})")
                for layer, value in _last_values(run, kind).items()
                if math.isfinite(value)
            ]
    if not places:
        return ""
    lowest, highest = min(places), max(places)
    if lowest[0] == highest[0]:
        return f"At the end of training, it is {_text(kind, lowest[0])} everywhere."
    if lowest[0] == 0:  # Usually, many layers have none.
        others = sum(value == highest[0] for value, _ in places) - 1
        also = f", and the same in {others} other place{'s' * (others > 1)}" if others else ""
        return f"At the end of training, the highest value is {highest[1]}{also}."
    return f"At the end of training, the lowest value is {lowest[1]}, and the highest {highest[1]}."


def _values(combinations: Sequence[Combination], kind: str) -> dict[int, Mapping[str, float]]:
    """The last value in each layer, by the number of the combination."""
    found = {c.number: _last_values(c.shown, kind) for c in combinations}
    return {number: last for number, last in found.items() if last}


def _last_values(run: Run, kind: str) -> Mapping[str, float]:
    """The last value in each layer."""
    series = list(run.record.by_layer(kind).items())
    return {
        layer: float(values[-1])
        for layer, (_, values) in series[: -1 if kind in HIDDEN_ONLY else None]
        if len(values)
    }


def _in_percent(kind: str) -> bool:
    return kind in AS_PERCENT or DIAGNOSTICS[kind].scale == "percent"


def _cell(kind: str, value: float) -> str:
    """The text of a value; the heading of its table has the unit."""
    return _text(kind, value).removesuffix(" %")


def _text(kind: str, value: float) -> str:
    if not math.isfinite(value):
        return NO_VALUE
    if kind in AS_PERCENT:
        return percent_of_size(value)
    if kind == "slope":
        return f"{value:.2f}"
    return percent(value) if DIAGNOSTICS[kind].scale == "percent" else number(value)
