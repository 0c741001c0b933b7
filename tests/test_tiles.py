"""Arrays as small images, pixel by pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lenet.figures import tiles


def test_the_minimum_is_black_and_the_maximum_white() -> None:
    shown = tiles.to_uint8(np.array([[-2.0, -1.0], [0.0, 2.0]], np.float32))
    assert shown.dtype == np.uint8
    assert shown.tolist() == [[0, 64], [128, 255]]


@pytest.mark.parametrize("value", [0.0, 3.5, np.nan, np.inf])
def test_what_has_no_range_is_gray(value: float) -> None:
    values = np.full((2, 3), value, np.float32)
    assert (tiles.to_uint8(values) == tiles.MID_GRAY).all()


def test_weights_too_far_apart_to_subtract_are_gray() -> None:
    assert (tiles.to_uint8(np.array([-3e38, 0, 3e38], np.float32)) == tiles.MID_GRAY).all()


def test_one_value_that_is_not_finite_makes_everything_gray() -> None:
    assert (tiles.to_uint8(np.array([0.0, 1.0, np.nan])) == tiles.MID_GRAY).all()


def cell(canvas: np.ndarray, row: int, column: int, pixels: int, factor: int) -> np.ndarray:
    """One of the images that were laid out, at its original size."""
    step, border = pixels * factor + tiles.BORDER, tiles.BORDER
    top, left = row * step + border, column * step + border
    enlarged = canvas[top : top + pixels * factor, left : left + pixels * factor]
    small = enlarged[::factor, ::factor]
    assert (small.repeat(factor, 0).repeat(factor, 1) == enlarged).all(), "smoothed"
    return small


def test_images_are_laid_out_row_by_row_with_a_border() -> None:
    images = np.random.default_rng(0).integers(0, 255, (5, 4, 4, 1), dtype=np.uint8)
    factor = tiles.enlargement(4)
    canvas = tiles.tile(images, columns=3)
    step = 4 * factor + tiles.BORDER
    assert canvas.shape == (2 * step + tiles.BORDER, 3 * step + tiles.BORDER, 1)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(cell(canvas, index // 3, index % 3, 4, factor), image)
    assert (cell(canvas, 1, 2, 4, factor) == tiles.BORDER_VALUE).all(), (
        "a position without an image"
    )
    borders = np.arange(canvas.shape[0]) % step < tiles.BORDER
    assert (canvas[borders] == tiles.BORDER_VALUE).all()


@pytest.mark.parametrize("height", [1, 3, 5, 28, 60, 61, 500])
def test_enlarging_is_by_an_integer_factor_and_never_shrinks(height: int) -> None:
    factor = tiles.enlargement(height)
    assert factor >= 1
    assert factor == 1 or height * factor <= tiles.TILE_PIXELS < height * (factor + 1)


@pytest.mark.parametrize(("inputs", "channels"), [(1, 1), (2, 3), (3, 3), (6, 3)])
def test_kernels_show_their_first_three_channels_as_colours(inputs: int, channels: int) -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 5, inputs, 4)).astype(np.float32)
    canvas = tiles.kernels_as_rgb(kernel)
    assert canvas.shape[2] == channels
    shown = kernel[:, :, :3]
    scaled = np.round((shown - shown.min()) * (255 / (shown.max() - shown.min())))
    for index in range(4):
        result = cell(canvas, 0, index, 5, tiles.enlargement(5))[..., : min(inputs, 3)]
        np.testing.assert_array_equal(result, scaled[..., index])


def test_with_two_channels_blue_stands_for_a_weight_of_zero() -> None:
    kernel = np.array([-1.0, 0.0, 0.5, 3.0], np.float32).reshape(1, 2, 2, 1)
    blue = tiles.kernels_as_rgb(kernel)[tiles.BORDER, tiles.BORDER, 2]
    assert blue == 64


def test_every_channel_of_every_kernel_has_its_position() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 5, 3, 4)).astype(np.float32)
    canvas = tiles.kernels_by_channel(kernel)
    scaled = np.round((kernel - kernel.min()) * (255 / (kernel.max() - kernel.min())))
    for channel in range(3):
        for index in range(4):
            result = cell(canvas, channel, index, 5, tiles.enlargement(5))[..., 0]
            np.testing.assert_array_equal(result, scaled[:, :, channel, index])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_contains_exactly_the_pixels(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (7, 9, channels), dtype=np.uint8)
    with Image.open(io.BytesIO(tiles.png(image))) as opened:
        assert opened.format == "PNG"
        np.testing.assert_array_equal(np.asarray(opened).reshape(image.shape), image)


def test_each_feature_map_has_a_range_of_its_own_and_a_constant_one_is_gray() -> None:
    maps = np.random.default_rng(0).normal(size=(10, 10, 9)).astype(np.float32)
    maps[..., 1] *= 1_000
    maps[..., 2] = 0.0
    canvas = tiles.maps(maps)
    factor = tiles.enlargement(10)
    for index in range(9):
        result = cell(canvas, index // 8, index % 8, 10, factor)[..., 0]
        shown = maps[..., index]
        if index == 2:
            expected = np.full((10, 10), tiles.MID_GRAY)
        else:
            expected = np.round((shown - shown.min()) * (255 / (shown.max() - shown.min())))
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("rows", "factor"), [(10, 30), (84, 3), (150, 2), (299, 1), (301, 1)])
def test_a_matrix_is_enlarged_by_an_integer_factor_and_never_shrunk(rows: int, factor: int) -> None:
    values = np.random.default_rng(0).normal(size=(rows, 7)).astype(np.float32)
    image = tiles.matrix(values)
    assert image.shape == (rows * factor, 7 * factor, 1)
    expected = tiles.to_uint8(values).repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(image[..., 0], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_titles_are_above_their_images_and_never_overlap(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 255, (7, 28, 28, channels), dtype=np.uint8)
    titles = ["sandal", "", *["a name that is much too long for so small a image"] * 5]
    canvas = tiles.titled_grid(images, titles)
    side, head = 28 * tiles.enlargement(28, tiles.TITLED_PIXELS), tiles.TITLE_HEIGHT
    assert canvas.shape == (2 * (side + head) + 6, 5 * (side + 12), 3)
    for index, image in enumerate(images):
        top, left = index // 5 * (side + head), index % 5 * (side + 12) + 6
        expected = np.broadcast_to(image, (28, 28, 3)).repeat(side // 28, 0).repeat(side // 28, 1)
        shown = canvas[top + head : top + head + side, left : left + side]
        np.testing.assert_array_equal(shown, expected)
        title = canvas[top : top + head, left : left + side]
        assert (title.min() < 100) == bool(titles[index])
        beside = canvas[top : top + head, left - 6 : left]
        assert (beside == 255).all(), "the title before runs over"


@pytest.mark.parametrize(("count", "side"), [(1, 1), (4, 2), (5, 3), (1000, 32)])
def test_a_sprite_is_a_square_of_thumbnails_row_by_row(count: int, side: int) -> None:
    images = np.random.default_rng(0).integers(0, 255, (count, 3, 4, 1), dtype=np.uint8)
    sheet = tiles.sprite(images)
    assert sheet.shape == (side * 3, side * 4, 1)
    for index in range(side * side):
        row, column = divmod(index, side)
        result = sheet[row * 3 : row * 3 + 3, column * 4 : column * 4 + 4]
        np.testing.assert_array_equal(result, images[index] if index < count else 255)
