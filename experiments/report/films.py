"""Kernels in motion: the kernels of each combination at every step of the slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.report.data import Combination, seed_list
from experiments.report.images import Image, convolutions, kernel_image
from experiments.report.inspected import Inspected


@dataclass(frozen=True)
class Film:
    """The kernels of the convolutions of one combination: an image per layer, a frame per step."""

    combination: Combination
    images: Sequence[Image]

    @property
    def seed(self) -> str:
        """The seed of the run, e.g. "seed 0"."""
        return seed_list([self.combination.shown])


def make_films(inspected: Inspected) -> list[Film]:
    """The films of all combinations that have inspections and convolutions."""
    films = [
        Film(combination, _images(inspected, combination))
        for combination in inspected.comparison.combinations
        if combination.number in inspected.ends
    ]
    return [film for film in films if film.images]


def films_caption(inspected: Inspected, films: Sequence[Film]) -> str:
    """How to read the films."""
    layers = dict.fromkeys(image.caption for film in films for image in film.images)
    ranges = [
        f"In {layer}, white is +{inspected.reaches[layer]:.2g} or more and black is "
        f"−{inspected.reaches[layer]:.2g} or less."
        for layer in layers
    ]
    return (
        "Drag the slider or use the arrow keys to see how all kernels change during training. "
        "Each square is one kernel. If the layer has one input channel, each small block in the "
        "square is one weight. If it has several, a block shows up to three weights, those of the "
        "first channels, as red, green and blue. "
        f"Mid-gray is 0. {' '.join(ranges)} These ranges are the same for all combinations. "
        "A change below about 20 % of the size of a kernel is hard to see. The section “All "
        "layers in numbers” shows it as a number."
    )


def _images(inspected: Inspected, combination: Combination) -> list[Image]:
    run, steps = combination.shown, inspected.film_steps
    own = list(run.inspections)
    frames: dict[str, list[np.ndarray]] = {}
    last: dict[str, np.ndarray] = {}
    for step in steps:
        if reached := [inspected_step for inspected_step in own if inspected_step <= step]:
            last = run.inspection(reached[-1], "kernel") or last
        for layer, kernel in convolutions(last).items():
            frames.setdefault(layer, []).append(kernel)
    return [
        kernel_image(
            kernels,
            inspected.reaches[layer],
            alt=f"Kernels of {layer}, {combination.label}",
            caption=layer,
        )
        for layer, kernels in frames.items()
        if len(kernels) == len(steps)
    ]
