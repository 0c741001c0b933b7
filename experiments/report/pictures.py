"""The pictures of a report: what was read becomes data addresses the page can hold."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from experiments.report.data import Combination, Comparison
from lenet.figures import comparison as figures
from lenet.figures.curves import Curve
from lenet.figures.style import PERCEPTUAL
from lenet.gallery.page import data_address
from lenet.recording import runs

FRAMES = 40
FILM_WIDTH, MAP_WIDTH, MAP_HEIGHT = 340, 290, 300  # CSS pixels, filled by whole factors.
MOST_KERNELS, COLUMNS, GAP = 64, 8, 4
ZOOM = 0.9
# Times the usual size of a weight: a run that is thrown off has weights in millions.
MOST_WIDE, MOST_WHITE = 8, 3
LEAST_NORM = 1e-7


@dataclass(frozen=True)
class Block:
    """A picture of blocks of pixels, shown without smoothing.

    Attributes:
        source: a data address.
        width, height: of one frame, in CSS pixels.
        frames: how many are stacked in it, one below the other.
    """

    source: str
    width: int
    height: int
    frames: int = 1


@dataclass(frozen=True)
class Film:
    """The kernels of one combination's convolutions at each step of the slider."""

    layers: Mapping[str, Block]


@dataclass(frozen=True)
class ClassMap:
    """The features of the probe images, rows sorted by class.

    Attributes:
        bands: for each class its name and its rows.
    """

    picture: Block
    bands: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Views:
    """All that is shown of one combination; "" or None where its runs did not record it."""

    combination: Combination
    film: Film | None = None
    kernels: tuple[Film, Film] | None = None
    steps: tuple[int, int] = (0, 0)
    class_map: ClassMap | None = None
    gradients: str = ""
    activity: str = ""
    weights: str = ""


class Pictures:
    """Draws what a comparison recorded, all combinations over the same ranges.

    Args:
        comparison: what was read.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.looks = {name: figures.look(k) for k, name in enumerate(comparison.variants)}
        self._last_step = max([1, *(run.record.step for run in comparison.runs)])
        self.steps = self._film_steps()
        self._start: dict[int, dict[str, np.ndarray]] = {}
        self._end: dict[int, dict[str, np.ndarray]] = {}
        for combination in comparison.combinations:
            run, steps = combination.shown, list(combination.shown.inspection_steps())
            if steps:
                start = run.inspection(steps[0], "kernel")
                end = run.inspection(steps[-1], "kernel", "by_class", "labels")
                if start and end:
                    self._start[combination.number] = start
                    self._end[combination.number] = end
        self._widths, self.reaches = self._reaches()
        self._norms = self._norm_limits()

    def color(self, combination: Combination) -> str:
        """The colour of a combination wherever it appears: that of all but its activation."""
        return self.looks[combination.variant][0]

    def panels(self) -> list[dict[str, str]]:
        """The learning curves, a panel for each activation or, of one alone, each combination.

        Returns:
            The id, the name and the picture of each; "" for a picture where nothing was measured.
        """
        activations = self.comparison.activations
        groups = {f"curves-{name}": (name, self.comparison.of(name)) for name in activations}
        if len(activations) == 1:
            (alone,) = self.comparison.activations
            groups = {
                f"curves-{alone}{f'-{place}' if place else ''}": (
                    combination.variant,
                    [combination],
                )
                for place, combination in enumerate(self.comparison.of(alone))
            }
        return [
            {"id": key, "name": name, "curves": self._curves(combinations)}
            for key, (name, combinations) in groups.items()
        ]

    def _curves(self, combinations: Sequence[Combination]) -> str:
        lines: dict[str, list[figures.Line]] = {"loss": [], "accuracy": []}
        for combination in combinations:
            measured = combination.done or [r for r in combination.runs if r.record.step]
            for name, found in lines.items():
                train = [getattr(run.record, f"train_{name}") for run in measured]
                test = [getattr(run.record, f"test_{name}") for run in measured]
                found.append(figures.Line(*self.looks[combination.variant], train, test))
        if not any(line.test or line.train for line in lines["loss"]):
            return ""
        every = self.comparison.runs
        classes = every[0].record.num_classes
        best = max((run.test_accuracy for run in every if run.done), default=0.0)
        zoom = ZOOM if best >= 0.95 else None
        guess = float(np.log(classes))
        # Room for what an overfitted network loses on the test images.
        later = [run.record.test_loss[1][1:] for run in every if run.done]
        highest = max((float(np.nanmax(v, initial=0)) for v in later), default=0.0)
        most = min(max(1.25 * guess, 1.05 * highest), 3 * guess)
        return _svg(
            figures.learning_panels(
                lines["loss"], lines["accuracy"], classes, self._last_step, most, zoom
            )
        )

    def views(self, combination: Combination) -> Views:
        """Everything that is shown of one combination."""
        number = combination.number
        if number not in self._start:
            return Views(combination)
        start, end = self._start[number], self._end[number]
        steps = list(combination.shown.inspection_steps())
        measured = combination.done or [combination.shown]
        kinds = ("gradient_norm", "saturated_fraction", "dead_fraction")
        norms, saturated, dead = (
            _by_layer([getattr(run.record, kind) for run in measured]) for kind in kinds
        )
        shown = {
            layer: kernel for layer, kernel in _kernels(end).items() if layer in _kernels(start)
        }
        return Views(
            combination,
            film=self._film(combination, self.steps),
            kernels=(self._still(start), self._still(end)),
            steps=(steps[0], steps[-1]),
            class_map=self._class_map(combination, end),
            gradients=_svg(self._gradients(norms)) if norms else "",
            activity=_svg(figures.activity(saturated, dead, self._last_step))
            if saturated and dead
            else "",
            weights=_svg(
                figures.weight_histograms(
                    _kernels(start), shown, self.color(combination), self._widths
                )
            )
            if shown
            else "",
        )

    def map_limits(self, activation: str) -> tuple[float, float]:
        """The range of the fc2 maps of one activation: least and (nearly) greatest output."""
        found = [
            values
            for combination in self.comparison.of(activation)
            for name, values in self._end.get(combination.number, {}).items()
            if name.endswith("/by_class")
        ]
        found = [values[np.isfinite(values)] for values in found]
        if not any(values.size for values in found):
            return 0.0, 1.0
        least = min(float(values.min()) for values in found if values.size)
        most = max(float(np.quantile(values, 0.995)) for values in found if values.size)
        if 0 < least < 0.01 * most:
            least = 0.0
        return least, max(most, least + 1e-6)

    @property
    def feature_layer(self) -> str:
        """The name of the layer whose outputs the class maps show."""
        for arrays in self._end.values():
            for name in arrays:
                if name.endswith("/by_class"):
                    return name.rpartition("/")[0]
        return "fc2"

    @property
    def probe_images(self) -> int:
        """How many images every inspection looks at; 0 where none was recorded."""
        return max((len(arrays.get("labels", ())) for arrays in self._end.values()), default=0)

    def _gradients(self, norms: Mapping[str, Sequence[Curve]]) -> Figure:
        figure = figures.framed(2.4)
        figures.by_layer(
            norms,
            figure.add_subplot(),
            "gradient norm (L2)",
            self._norms,
            log=True,
            last_step=self._last_step,
        )
        return figure

    def _film_steps(self) -> list[int]:
        """The steps at which some shown run was inspected: all, or 40 evenly chosen."""
        found = {s for c in self.comparison.combinations for s in c.shown.inspection_steps()}
        steps = sorted(found)
        if len(steps) > FRAMES:
            places = np.linspace(0, len(steps) - 1, FRAMES).round().astype(int)
            steps = [steps[place] for place in places]
        return steps

    def _film(self, combination: Combination, steps: Sequence[int]) -> Film | None:
        own = list(combination.shown.inspection_steps())
        frames: dict[str, list[np.ndarray]] = {}
        last: dict[str, np.ndarray] = {}
        for step in steps:
            if reached := [s for s in own if s <= step]:
                last = combination.shown.inspection(reached[-1], "kernel") or last
            for layer, kernel in _convolutions(last).items():
                frames.setdefault(layer, []).append(_mosaic(kernel, self.reaches[layer]))
        whole = {layer: f for layer, f in frames.items() if len(f) == len(steps)}
        return Film({layer: _block(f) for layer, f in whole.items()}) if whole else None

    def _still(self, arrays: Mapping[str, np.ndarray]) -> Film:
        return Film(
            {
                layer: _block([_mosaic(kernel, self.reaches[layer])])
                for layer, kernel in _convolutions(arrays).items()
            }
        )

    def _class_map(
        self, combination: Combination, arrays: Mapping[str, np.ndarray]
    ) -> ClassMap | None:
        name = next((n for n in arrays if n.endswith("/by_class")), None)
        if name is None or "labels" not in arrays:
            return None
        labels, classes = arrays["labels"], combination.shown.dataset["class_names"]
        values = arrays[name][np.argsort(labels, kind="stable")]
        low, high = self.map_limits(combination.activation)
        scaled = np.nan_to_num((values - low) / (high - low)).clip(0, 1)
        colors = (colormaps[PERCEPTUAL](scaled)[..., :3] * 255).round().astype(np.uint8)
        counts = [(str(classes[c]), int((labels == c).sum())) for c in np.unique(labels)]
        rows, columns = values.shape
        down, across = max(1, MAP_HEIGHT // rows), max(1, MAP_WIDTH // columns)
        return ClassMap(Block(_png(colors), columns * across, rows * down), counts)

    def _reaches(self) -> tuple[dict[str, float], dict[str, float]]:
        """By layer, how large weights become: for the histograms, and for pictures of kernels.

        Histograms have room for nearly all. Pictures are fully white or black from midway between the
        usual and the greatest on: else one combination with huge weights would make all the
        others gray.
        """
        found: dict[str, dict[int, float]] = {}
        for ends in (self._start, self._end):
            for number, arrays in ends.items():
                for layer, kernel in _kernels(arrays).items():
                    size = np.abs(kernel[np.isfinite(kernel)])
                    reach = float(np.quantile(size, 0.998)) if size.size else 0.0
                    by_number = found.setdefault(layer, {})
                    by_number[number] = max(by_number.get(number, 1e-6), reach)
        greatest = {layer: max(by_number.values()) for layer, by_number in found.items()}
        usual = {
            layer: float(np.quantile(list(sizes.values()), 0.5, method="lower"))
            for layer, sizes in found.items()
        }
        widths = {layer: min(greatest[layer], MOST_WIDE * usual[layer]) for layer in found}
        return widths, {
            layer: min(float(np.sqrt(usual[layer] * greatest[layer])), MOST_WHITE * usual[layer])
            for layer in found
        }

    def _norm_limits(self) -> tuple[float, float] | None:
        norms = [
            values[np.isfinite(values) & (values > LEAST_NORM)]
            for run in self.comparison.runs
            for _, values in run.record.gradient_norm.values()
        ]
        every = np.concatenate(norms) if norms else np.zeros(0)
        return (float(every.min()) / 1.6, float(every.max()) * 1.6) if every.size else None


def _by_layer(found: Sequence[Mapping[str, Curve]]) -> dict[str, list[Curve]]:
    names = dict.fromkeys(name for layers in found for name in layers)
    return {name: [layers[name] for layers in found if name in layers] for name in names}


def _kernels(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n.removesuffix("/kernel"): a for n, a in arrays.items() if n.endswith("/kernel")}


def _convolutions(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {layer: kernel for layer, kernel in _kernels(arrays).items() if kernel.ndim == 4}


def _mosaic(kernel: np.ndarray, reach: float) -> np.ndarray:
    """All kernels of a convolution side by side on white, enlarged, mid-gray for 0.

    The first three input channels are red, green and blue; a single one is gray.

    Returns:
        uint8 [h, w, 3].
    """
    shown = np.nan_to_num(np.moveaxis(kernel[:, :, :3, :MOST_KERNELS], -1, 0))
    scaled = ((shown / reach).clip(-1, 1) * 127.5 + 127.5).round().astype(np.uint8)
    count, height, width, channels = scaled.shape
    if channels < 3:
        gray = np.full((count, height, width, 1), 128, np.uint8)
        scaled = np.concatenate([scaled, gray], -1) if channels == 2 else scaled.repeat(3, -1)
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    factor = max(1, (FILM_WIDTH - GAP * (columns - 1)) // (columns * width))
    height, width = height * factor, width * factor
    size = rows * (height + GAP), columns * (width + GAP) - GAP, 3
    canvas = np.full(size, 255, np.uint8)
    for number, picture in enumerate(scaled.repeat(factor, 1).repeat(factor, 2)):
        row, column = divmod(number, columns)
        top, left = row * (height + GAP), column * (width + GAP)
        canvas[top : top + height, left : left + width] = picture
    return canvas


def _block(frames: Sequence[np.ndarray]) -> Block:
    height, width = frames[0].shape[:2]
    return Block(_png(np.concatenate(frames)), width, height, len(frames))


def _png(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png", optimize=True)
    return data_address(buffer.getvalue(), "image/png")


def _svg(figure: Figure) -> str:
    buffer = io.BytesIO()
    # Without a date and with ids that follow from the drawing, the same runs give the same page.
    with matplotlib.rc_context({"svg.hashsalt": runs.FIGURES}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return data_address(buffer.getvalue(), "image/svg+xml")
