"""The first and last inspection of each combination, and the ranges that all its figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from experiments.report.data import Combination, Comparison
from experiments.report.images import kernels_by_layer
from lenet.diagnostics import Scale

MOST_FRAMES = 40
# In units of the usual size of a weight. Without a limit, the scale would follow a diverged run,
# whose weights can reach millions.
MOST_WIDE, MOST_WHITE = 8, 3
SMALLEST = 1e-7  # Smaller values would make the other lines of a figure flat.
BY_CLASS = "by_class"


@dataclass(frozen=True)
class Ends:
    """The first and the last inspection of the run that a report shows for a combination.

    Attributes:
        steps: the steps of both inspections.
        start: the kernels in the first inspection.
        end: the kernels in the last inspection, and the features and labels of the probe images.
    """

    steps: tuple[int, int]
    start: Mapping[str, np.ndarray]
    end: Mapping[str, np.ndarray]


class Inspected:
    """The inspections of the runs of a comparison.

    Attributes:
        ends: the first and last inspection by the number of a combination; combinations without
            readable inspections are left out.
        last_step: the last step of the longest run.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.last_step = max([1, *(run.record.step for run in comparison.runs)])
        self.ends: dict[int, Ends] = {}
        self._limits: dict[str, tuple[float, float] | None] = {}
        for combination in comparison.combinations:
            run, steps = combination.shown, list(combination.shown.inspections)
            if steps:
                start = run.inspection(steps[0], "kernel")
                end = run.inspection(steps[-1], "kernel", BY_CLASS, "labels")
                if start and end:
                    self.ends[combination.number] = Ends((steps[0], steps[-1]), start, end)

    def common_start(self, combinations: Sequence[Combination]) -> Mapping[str, np.ndarray]:
        """The kernels at step 0 if all of these combinations have the same ones; otherwise {}."""
        ends = [self.ends[c.number] for c in combinations if c.number in self.ends]
        if len(ends) < 2 or any(each.steps[0] for each in ends):
            return {}
        first = ends[0].start
        same = all(
            each.start.keys() == first.keys()
            and all(np.array_equal(each.start[name], first[name]) for name in first)
            for each in ends
        )
        return first if same else {}

    @cached_property
    def film_steps(self) -> list[int]:
        """The steps at which a shown run was inspected; at most 40 of them, evenly spaced."""
        shown = [combination.shown for combination in self.comparison.combinations]
        steps = sorted({step for run in shown for step in run.inspections})
        if len(steps) > MOST_FRAMES:
            indices = np.linspace(0, len(steps) - 1, MOST_FRAMES).round().astype(int)
            steps = [steps[index] for index in indices]
        return steps

    @property
    def feature_layer(self) -> str:
        """The layer whose outputs the page shows by class."""
        names = [name for ends in self.ends.values() for name in ends.end]
        layers = [name.rpartition("/")[0] for name in names if name.endswith(f"/{BY_CLASS}")]
        return layers[0] if layers else "fc2"

    @property
    def probe_images(self) -> int:
        """The number of images that every inspection uses; 0 if there are no inspections."""
        return max((len(ends.end.get("labels", ())) for ends in self.ends.values()), default=0)

    def features(self, combination: Combination) -> tuple[np.ndarray, np.ndarray] | None:
        """The last features of the probe images, float [n, d], and their labels, int [n]."""
        ends = self.ends.get(combination.number)
        arrays = ends.end if ends else {}
        name = next((name for name in arrays if name.endswith(f"/{BY_CLASS}")), None)
        return (arrays[name], arrays["labels"]) if name and "labels" in arrays else None

    def feature_limits(self, activation: str) -> tuple[float, float]:
        """The range of the features with one activation: the minimum and the 99.5 % quantile."""
        combinations = self.comparison.with_activation(activation)
        features = [pair[0] for c in combinations if (pair := self.features(c))]
        finite = [values[np.isfinite(values)] for values in features]
        finite = [values for values in finite if values.size]
        if not finite:
            return 0.0, 1.0
        minimum = min(float(values.min()) for values in finite)
        maximum = max(float(np.quantile(values, 0.995)) for values in finite)
        if 0 < minimum < 0.01 * maximum:
            minimum = 0.0
        return minimum, max(maximum, minimum + 1e-6)

    def highest_feature(self, activation: str) -> float:
        """The highest finite output of the feature layer with one activation; 0 if there is none."""
        combinations = self.comparison.with_activation(activation)
        features = [pair[0] for c in combinations if (pair := self.features(c))]
        finite = [values[np.isfinite(values)] for values in features]
        return max((float(values.max()) for values in finite if values.size), default=0.0)

    @cached_property
    def widths(self) -> dict[str, float]:
        """The limits of the weight histograms by layer; nearly all weights are within them."""
        return {
            layer: min(max(sizes), MOST_WIDE * _usual(sizes))
            for layer, sizes in self._weight_sizes.items()
        }

    @cached_property
    def reaches(self) -> dict[str, float]:
        """By layer, the smallest weight that is white in an image of kernels.

        This is the geometric mean of the usual and the largest size of a weight. With the largest
        size itself, one combination with huge weights would make all the others gray.
        """
        return {
            layer: min(float(np.sqrt(_usual(sizes) * max(sizes))), MOST_WHITE * _usual(sizes))
            for layer, sizes in self._weight_sizes.items()
        }

    def limits(self, kind: str, scale: Scale) -> tuple[float, float] | None:
        """The range of a diagnostic in all layers of all runs; None if there are no values."""
        if scale == "percent":
            return -0.03, 1.03
        if kind not in self._limits:
            found = [
                values[np.isfinite(values) & (values > SMALLEST)]
                for run in self.comparison.runs
                for _, values in run.record.by_layer(kind).values()
            ]
            joined = np.concatenate(found) if found else np.zeros(0)
            self._limits[kind] = None
            if joined.size:
                low, high = float(joined.min()), float(joined.max())
                linear = scale == "linear"
                self._limits[kind] = (0.0, 1.05 * high) if linear else (low / 1.6, high * 1.6)
        return self._limits[kind]

    @cached_property
    def _weight_sizes(self) -> dict[str, list[float]]:
        """By layer, the 99.8 % quantile of the size of the weights of each combination."""
        sizes: dict[str, list[float]] = {}
        for ends in self.ends.values():
            start, end = kernels_by_layer(ends.start), kernels_by_layer(ends.end)
            for layer in {**start, **end}:
                both = [kernels[layer] for kernels in (start, end) if layer in kernels]
                sizes.setdefault(layer, []).append(max(1e-6, *map(_size, both)))
        return sizes


def _size(kernel: np.ndarray) -> float:
    finite = np.abs(kernel[np.isfinite(kernel)])
    return float(np.quantile(finite, 0.998)) if finite.size else 0.0


def _usual(sizes: list[float]) -> float:
    return float(np.quantile(sizes, 0.5, method="lower"))
