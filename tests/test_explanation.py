"""The figure of one picture on its way through a network: what is drawn is what was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lenet.data.preparation import Stage
from lenet.figures import single_image
from lenet.figures.explanation import explanation

RNG = np.random.default_rng(0)
DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[4:24, 10:18] = 255
COLOURED = RNG.integers(0, 255, (32, 32, 3), dtype=np.uint8)
LOGITS = np.array([-2.5, 1, 0, 0.5, 8, -3, -1, 2, 0.1, 4], np.float32)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum()
FC2 = np.maximum(0, RNG.normal(size=84)).astype(np.float32)
CONTRIBUTIONS = FC2 * RNG.normal(size=84).astype(np.float32)
HEAT = RNG.random((28, 28)).astype(np.float32)

# Every function that draws on given axes, with what it may be given.
ON_AXES: dict[str, Callable[[Axes | None], Axes]] = {
    "a stage": lambda ax: single_image.stage(DIGIT, "Cropped", "to the drawing", ax),
    "a stage with marks": lambda ax: single_image.stage(
        DIGIT, "Ink", "alone", ax, (4, 10, 24, 18), (14.0, 14.0)
    ),
    "a coloured stage": lambda ax: single_image.stage(COLOURED, "Your image", "a cat", ax),
    "six maps": lambda ax: single_image.layer_maps(RNG.random((28, 28, 6)), ax),
    "forty maps": lambda ax: single_image.layer_maps(RNG.random((10, 10, 40)), ax),
    "dead maps": lambda ax: single_image.layer_maps(np.zeros((10, 10, 16)), ax),
    "units": lambda ax: single_image.unit_bars(FC2, ax),
    "units with contributions": lambda ax: single_image.unit_bars(FC2, ax, CONTRIBUTIONS, "4"),
    "dead units": lambda ax: single_image.unit_bars(0 * FC2, ax, 0 * CONTRIBUTIONS, "4"),
    "logits": lambda ax: single_image.class_bars(LOGITS, DIGITS, 4, ax),
    "probabilities": lambda ax: single_image.class_bars(
        PROBABILITIES, CLOTHES, 4, ax, percent=True
    ),
    "two classes": lambda ax: single_image.class_bars(LOGITS[:2], ("cat", "dog"), 1, ax),
    "heat over a digit": lambda ax: single_image.heat_over(DIGIT, HEAT, ax, "probability"),
    "heat over nothing": lambda ax: single_image.heat_over(0 * DIGIT, 0 * HEAT, ax, "probability"),
    "heat over colours": lambda ax: single_image.heat_over(
        COLOURED, RNG.random((32, 32)), ax, "heat"
    ),
}


def whole(**changes: Any) -> Figure:
    """A figure of a network like LeNet, with everything on it."""
    stages = [
        Stage("Your image", "1000 × 750 pixels", RNG.integers(0, 255, (75, 100, 3), np.uint8)),
        Stage("Gray", "brightness only", RNG.integers(0, 255, (75, 100), np.uint8)),
        Stage("Ink only", "inverted, with black paper", DIGIT, (4, 10, 24, 18)),
        Stage("Cropped", "to the drawing", DIGIT[4:24, 10:18]),
        Stage("Scaled to 20 × 20", "thin strokes widened", DIGIT[4:24, 8:20]),
        Stage("Centred in 28 × 28", "by its centre of mass", DIGIT, middle=(14, 14)),
    ]
    given: dict[str, Any] = {
        "stages": stages,
        "convolutions": {"conv1": RNG.random((28, 28, 6)), "conv2": RNG.random((10, 10, 16))},
        "dense": {"fc1": RNG.random(120), "fc2": FC2},
        "logits": LOGITS,
        "probabilities": PROBABILITIES,
        "class_names": DIGITS,
        "activations": dict.fromkeys(("conv1", "conv2", "conv3", "fc1", "fc2"), "leaky_relu"),
        "headline": "The network says: 4 (97.9 %)",
        "subtitle": "my_digit.png, seen by lenet trained on mnist, relu + adam, for 1,200 steps",
        "contributions": CONTRIBUTIONS,
        "occlusion": HEAT,
        "patch": 7,
        "saliency": 0.1 * HEAT,
    }
    return explanation(**(given | changes))


WHOLE: dict[str, Callable[[], Figure]] = {
    "everything": whole,
    "with one overlay": lambda: whole(saliency=None),
    "long class names": lambda: whole(
        class_names=CLOTHES, headline="The network says: Coat (97.9 %), or Ankle boot (2.1 %)"
    ),
    "a dead network": lambda: whole(
        convolutions={"conv1": np.zeros((28, 28, 6))},
        dense={"fc2": 0 * FC2},
        logits=np.zeros(10),
        probabilities=np.full(10, 0.1),
        occlusion=np.full((28, 28), 0.1),
        saliency=np.zeros((28, 28)),
    ),
    "wide layers": lambda: whole(
        convolutions={"conv1": RNG.random((32, 32, 32)), "conv3": RNG.random((8, 8, 64))},
        dense={"fc1": RNG.random(300)},
        contributions=RNG.normal(size=300),
    ),
    "colour, two classes": lambda: whole(
        stages=[
            Stage("Your image", "307 × 256 pixels", COLOURED, (0, 4, 32, 28)),
            Stage("Cropped", "to the middle", COLOURED[:, 4:28]),
            Stage("Scaled to 32 × 32", "the network's input size", COLOURED),
        ],
        logits=LOGITS[:2],
        probabilities=np.array([0.03, 0.97]),
        class_names=("cat", "$dog_$ with a name that is very long"),
        occlusion=RNG.random((32, 32)),
        saliency=RNG.random((32, 32)),
    ),
}


@pytest.mark.parametrize("name", ON_AXES)
def test_it_draws_on_the_axes_it_is_given_or_on_new_ones(
    name: str, check_legible: Callable[..., None]
) -> None:
    given = Figure(layout="constrained").add_subplot()
    assert ON_AXES[name](given) is given
    own = ON_AXES[name](None)
    assert own is not given
    check_legible(own.get_figure(root=True))


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_figure_can_be_read(name: str, check_legible: Callable[..., None]) -> None:
    figure = WHOLE[name]()
    assert figure.get_figwidth() * 100 == 1200
    check_legible(figure)


def test_its_text_says_what_is_shown() -> None:
    texts = texts_of(whole())
    for expected in (
        "The network says: 4 (97.9 %)",
        "Preparation",
        "conv1: 6 feature maps of 28 × 28",
        "conv2: 16 feature maps of 10 × 10",
        "fc1: 120 units",
        "fc2: 84 units",
        "The answer",
        "What the answer 4 depends on",
    ):
        assert expected in texts
    silent = np.count_nonzero(FC2 == 0)
    assert f"after leaky_relu; {silent} of them silent (output 0)" in texts
    assert any("7 × 7 pixels" in text and "at the lowest" in text for text in texts)
    assert not any("depends on" in text for text in texts_of(whole(occlusion=None, saliency=None)))


def texts_of(figure: Figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]  # type: ignore[attr-defined]


def test_maps_share_one_scale_and_are_laid_out_in_rows() -> None:
    maps = RNG.random((10, 12, 20))
    image = single_image.layer_maps(maps).get_images()[0]
    drawn = np.ma.getdata(image.get_array())
    assert image.get_clim() == (maps.min(), maps.max())
    gap = round(single_image.GAP * 10)
    assert np.array_equal(drawn[:10, :12], maps[..., 0])
    assert np.array_equal(drawn[10 + gap :, 3 * (12 + gap) : 3 * (12 + gap) + 12], maps[..., 19])


def test_bars_are_as_high_as_what_they_show() -> None:
    ax = single_image.unit_bars(FC2, None, CONTRIBUTIONS, "4")
    heights = {bar.get_x() + bar.get_width() / 2: bar for bar in ax.patches}
    for unit, output in enumerate(FC2):
        if CONTRIBUTIONS[unit] == 0:
            assert pytest.approx(unit) not in list(heights)
            continue
        bar = next(bar for position, bar in heights.items() if abs(position - unit) < 0.1)
        assert bar.get_height() == pytest.approx(output)
        color = single_image.FOR if CONTRIBUTIONS[unit] > 0 else single_image.AGAINST
        assert to_hex(bar.get_facecolor()) == color.lower()
    ax = single_image.class_bars(LOGITS, DIGITS, 4)
    assert [bar.get_height() for bar in ax.patches] == pytest.approx(LOGITS.tolist())
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches].count(single_image.FOR.lower()) == 1
    assert [text.get_text() for text in ax.texts][:2] == ["−2.5", "1.0"]


def test_heat_is_drawn_over_the_image() -> None:
    ax = single_image.heat_over(DIGIT, HEAT, None, "probability")
    assert np.array_equal(np.ma.getdata(ax.get_images()[0].get_array()), HEAT)
    ax = single_image.heat_over(COLOURED, HEAT, None)
    heat, behind = sorted(ax.get_images(), key=lambda image: -image.get_zorder())
    assert heat.get_alpha() is not None
    assert np.array_equal(np.ma.getdata(behind.get_array()), COLOURED.mean(-1))


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (1.0, "100 %"),
        (0.99996, "100 %"),
        (0.9999, "99.99 %"),
        (0.9994, "99.9 %"),
        (0.5, "50.0 %"),
        (0.0123, "1.2 %"),
        (0.0006, "0.1 %"),
        (0.0004, "0.04 %"),
        (0.00002, "0 %"),
        (0.0, "0 %"),
    ],
)
def test_a_probability_has_as_many_digits_as_it_needs(probability: float, text: str) -> None:
    assert single_image.percentage(probability) == text
