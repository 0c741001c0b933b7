"""What the views inside the networks consist of: parts, sections and panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from experiments.report.classes import UnitMap
from experiments.report.data import Combination
from experiments.report.images import Image
from experiments.report.inspected import Inspected
from experiments.report.mistakes import Confusion
from lenet.analysis.classes import Similarities


@dataclass(frozen=True)
class Panel:
    """What one part shows for one combination.

    Attributes:
        images: the images from top to bottom.
        missing: why there is no image, or "".
        sentence: what an image would show, if it would show nothing but that.
        seeds: the seeds that it shows, or "" if there is only one.
        scale: the values of the first and the last colour in words, if there is a colour scale.
        units: the outputs of the feature layer, sorted by class.
        alike: how similar the classes are.
        confusion: the predictions for the test images.
    """

    images: Sequence[Image] = ()
    missing: str = ""
    sentence: str = ""
    scale: tuple[str, str] | None = None
    seeds: str = ""
    units: UnitMap | None = None
    alike: Similarities | None = None
    confusion: Confusion | None = None

    @property
    def filled(self) -> bool:
        """Whether the panel shows more than the sentence in `missing`."""
        return bool(self.images or self.units or self.confusion or self.sentence)


@dataclass(frozen=True)
class Part:
    """One view inside the networks.

    Attributes:
        name: the first part of its ids in the page; links from `Finding.plot` use it.
        heading, caption: text in which "{layer}" is replaced by the layer of the features.
        panel: the function that returns the panel of one combination.
        every_seed: whether a panel has a line for every seed, not only the data of one.
        common: the function that returns the images that are the same for all combinations.
    """

    name: str
    heading: str
    caption: str
    panel: Callable[[Inspected, Combination], Panel]
    every_seed: bool = False
    common: Callable[[Inspected, Sequence[Combination]], Sequence[Image]] | None = None


@dataclass(frozen=True)
class Section:
    """One part of the page: a view inside the networks with one activation.

    Attributes:
        summary: where the values are lowest and highest, or "".
        common: images that are the same for all combinations, e.g. the kernels before training.
    """

    name: str
    heading: str
    caption: str
    panels: Sequence[tuple[Combination, Panel]]
    common: Sequence[Image] = ()
    summary: str = ""

    @property
    def scale(self) -> tuple[str, str] | None:
        """The colour scale that all panels share."""
        return next((panel.scale for _, panel in self.panels if panel.scale), None)
