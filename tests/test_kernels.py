"""The introduction to convolution and pooling: the numbers are right, the figure is complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from experiments.kernels.__main__ import main
from experiments.kernels.figure import draw
from experiments.kernels.filters import Kernel, convolve, fixed_kernels, max_pool

EDGE_BELOW, EDGE_RIGHT, BLUR, SHARPEN = fixed_kernels()


@pytest.fixture
def gray() -> np.ndarray:
    """An image of 45 columns and 37 rows."""
    return np.random.default_rng(0).random((37, 45))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small photo in color."""
    values = np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    path = tmp_path / "some cat.jpg"
    Image.fromarray(values).resize((180, 120)).save(path)
    return path


@pytest.mark.parametrize("kernel", fixed_kernels(), ids=lambda kernel: kernel.name)
def test_a_kernel_does_what_a_convolutional_layer_does(gray: np.ndarray, kernel: Kernel) -> None:
    images, weights = gray[None, ..., None], kernel.weights[..., None, None]
    expected = np.asarray(keras.ops.conv(images, weights, padding="valid"))[0, ..., 0]
    result = convolve(gray, kernel.weights)
    assert result.shape == gray.shape
    np.testing.assert_allclose(result[3:-3, 3:-3], expected, atol=1e-6)


@pytest.mark.parametrize("kernel", [EDGE_BELOW, EDGE_RIGHT], ids=["below", "right"])
def test_edges_are_where_brightness_changes_and_have_a_sign(kernel: Kernel) -> None:
    step = np.zeros((21, 21))
    step[11:] = 1
    step = step if kernel is EDGE_BELOW else step.T
    along = convolve(step, kernel.weights)
    along = along if kernel is EDGE_BELOW else along.T
    assert along[10:12].max() == pytest.approx(1)
    np.testing.assert_allclose(along[:7], 0, atol=1e-12)
    np.testing.assert_allclose(convolve(1 - step, kernel.weights).min(), -1)
    other = EDGE_RIGHT if kernel is EDGE_BELOW else EDGE_BELOW
    np.testing.assert_allclose(convolve(step, other.weights), 0, atol=1e-12)


def test_blur_and_sharpen_keep_uniform_images_and_have_opposite_effects(gray: np.ndarray) -> None:
    for kernel in (BLUR, SHARPEN):
        assert kernel.weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(convolve(np.full((9, 9), 0.3), kernel.weights), 0.3)
    blurred, sharp = (convolve(gray, kernel.weights) for kernel in (BLUR, SHARPEN))
    assert blurred.std() < gray.std() < sharp.std()
    np.testing.assert_allclose(sharp, blurred + 3 * (gray - blurred), atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [2, 3, 8])
@pytest.mark.parametrize("shape", [(8, 9), (16, 21), (37, 45)])
def test_pooling_is_tensorflow_s(shape: tuple[int, int], size: int, padding: str) -> None:
    values = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    expected = keras.ops.max_pool(values[None, ..., None], size, padding=padding)
    pooled = max_pool(values, size, padding)
    np.testing.assert_array_equal(pooled, np.asarray(expected)[0, ..., 0])


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_the_figure_is_written_completely(
    tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str], suffix: str, start: bytes
) -> None:
    target = tmp_path / "new folder" / f"figure{suffix}"
    assert main([str(photo), "--output", str(target), "--dpi", "60"]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert target.read_bytes().startswith(start)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_the_figure_shows_every_kernel_and_both_paddings(gray: np.ndarray) -> None:
    figure = draw(gray)
    titles = [ax.get_title() for part in figure.subfigs for ax in part.axes]
    for kernel in fixed_kernels():
        assert f"{kernel.name}: ÷ {kernel.divisor}" in titles
    assert {"“valid”: windows of 2×2", "7×7 → 3×3", "“same”: windows of 2×2", "7×7 → 4×4"} <= set(
        titles
    )
    results = [ax.images[0].get_array() for ax in figure.subfigs[0].axes[6:]]
    for kernel, shown in zip(fixed_kernels(), results, strict=True):
        exact = convolve(gray, kernel.weights)
        np.testing.assert_allclose(shown, exact if kernel.signed else exact.clip(0, 1))
    labels = [ax.get_xlabel() for ax in figure.subfigs[1].axes]
    assert labels[-2:] == ["45 × 37 → 5 × 4 pixels", "45 × 37 → 6 × 5 pixels"]


def test_an_image_without_contrast_is_drawn_too() -> None:
    draw(np.full((20, 300), 0.5)).draw_without_rendering()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.jpg"], "nowhere.jpg: No such file"),
        (["{photo}", "--output", "figure.gif"], "a file ending in .png, .svg, .pdf"),
        (["{photo}", "--dpi", "5"], "dpi to be from 10 to 1,000"),
        (["{tiny}"], "at least 16x16 pixels. Received: 9x30"),
        (["{tiny}", "--output", "{tiny}"], "is the image itself"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path,
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    tiny = tmp_path / "tiny.png"
    Image.new("L", (9, 30)).save(tiny)
    with pytest.raises(SystemExit) as caught:
        main([argument.format(photo=photo, tiny=tiny) for argument in arguments])
    assert caught.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Error: ")
    assert shown.count("\n") == 1
    assert expected in shown


def test_it_needs_no_tensorflow_and_writes_to_the_current_folder(
    tmp_path: Path, photo: Path, root: Path
) -> None:
    program = (
        "import sys; from experiments.kernels.__main__ import main; "
        f"main([{str(photo)!r}]); print('tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("kernels-some cat.png\nFalse\n", "")
    assert (tmp_path / "kernels-some cat.png").is_file()
