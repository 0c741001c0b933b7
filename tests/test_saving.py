"""Files of figures: whole pixels in PNG, exact matrices and real fonts in PDF and SVG, any width."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from lenet.figures import activity, saving, style, weights

RNG = np.random.default_rng(0)
VALUES = RNG.random((100, 84))


def stripes(across: bool) -> Figure:
    """100 images × 84 units, black and white in turn along one axis."""
    row, column = np.indices((100, 84))
    values = (column if across else row) % 2
    return style.figure_of(activity.feature_map_of_class(values.astype(float), "fc2"))


def run_lengths(line: np.ndarray) -> list[int]:
    """The lengths of the runs of equal pixels."""
    ends = np.flatnonzero(np.diff(line.astype(int)) != 0)
    return np.diff(ends).tolist()


@pytest.mark.parametrize(("dpi", "width"), [(100, None), (73, None), (150, 3.5)])
@pytest.mark.parametrize("across", [True, False])
def test_every_number_has_the_same_whole_pixels_in_a_png(
    across: bool, dpi: int, width: float | None
) -> None:
    content = saving.encode(stripes(across), "png", dpi, width)
    with Image.open(io.BytesIO(content)) as image:
        gray = np.asarray(image.convert("L"))
    lines = (gray if across else gray.T) > 127
    lengths = run_lengths(lines[int(0.45 * len(lines))])  # Through the matrix.
    number = 84 if across else 100
    runs = [lengths[start : start + number - 4] for start in range(len(lengths) - number + 5)]
    assert [run[0] for run in runs if len(set(run)) == 1 and run[0] >= 2]


@pytest.mark.parametrize("width", [None, 3.5])
def test_a_pdf_holds_each_number_once_and_its_fonts_as_truetype(width: float | None) -> None:
    figure = style.figure_of(activity.feature_map_of_class(VALUES, "fc2"))
    inches = figure.get_size_inches() * (1 if width is None else width / figure.get_figwidth())
    content = saving.encode(figure, "pdf", 100, width)
    images = re.findall(rb"/Subtype /Image.*?>>", content, re.DOTALL)
    assert any(b"/Width 84" in image and b"/Height 100" in image for image in images)
    assert b"/CIDFontType2" in content and b"/Type3" not in content
    [box] = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", content)
    np.testing.assert_allclose(np.array(box, float), 72 * inches, atol=0.01)


def test_an_svg_holds_each_number_once() -> None:
    figure = style.figure_of(activity.feature_map_of_class(VALUES, "fc2"))
    content = saving.encode(figure, "svg", 100).decode()
    [embedded] = re.findall(r'xlink:href="data:image/png;base64,([^"]+)"', content, re.DOTALL)[:1]
    with Image.open(io.BytesIO(base64.b64decode(embedded))) as image:
        assert image.size == (84, 100)
        gray = np.asarray(image.convert("L"))
    expected = np.round(255 * (VALUES - VALUES.min()) / np.ptp(VALUES))
    assert min(np.abs(gray[::way].astype(int) - expected).max() for way in (1, -1)) <= 2


def test_a_figure_can_be_saved_again_as_it_was() -> None:
    figure = activity.feature_maps_of_classes({"a": VALUES, "b": VALUES}, "viridis", "fc2")
    first = saving.encode(figure, "png", 60)
    saving.encode(figure, "pdf", 60)
    again = saving.encode(figure, "png", 60)
    before, after = (np.asarray(Image.open(io.BytesIO(each))) for each in (first, again))
    assert before.shape == after.shape
    assert np.mean(before != after) < 0.01  # The colour bars may move by less than a pixel.


@pytest.mark.parametrize("width", [3.5, pytest.param(7.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "figure", ["map", "matrix", "kernels", pytest.param("maps", marks=pytest.mark.slow)]
)
def test_a_narrow_figure_stays_legible(
    figure: str, width: float, check_legible: Callable[..., None]
) -> None:
    made = {
        "map": lambda: style.figure_of(activity.feature_map_of_class(VALUES, "fc2 for class 7")),
        "matrix": lambda: style.figure_of(weights.matrix(RNG.normal(size=(400, 120)), "fc1")),
        "kernels": lambda: style.figure_of(
            weights.kernels_by_channel(RNG.normal(size=(5, 5, 6, 16)))
        ),
        "maps": lambda: activity.feature_maps_of_classes(
            {str(n): VALUES for n in range(10)}, "viridis", "fc2: 100 test images of each class"
        ),
    }[figure]()
    saving.resize(made, width)
    assert made.get_figwidth() == width
    assert 4 <= saving.smallest_text(made) <= 7
    check_legible(made)
    titles = [
        text for text in made.findobj(Text) if isinstance(text, Text) and "fc" in text.get_text()
    ]
    assert all(float(text.get_fontsize()) >= 6 for text in titles)
