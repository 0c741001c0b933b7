"""Photos and drawings become images like MNIST's; a photo without a drawing is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from lenet.data.centring import bounding_box, stroke_width
from lenet.data.datasets import Dataset
from lenet.data.idx import read_idx
from lenet.data.image_files import decode
from lenet.data.ink import number_of_drawings
from lenet.data.preparation import Prepared, prepare, prepare_drawing, prepare_photo, read_picture

MNIST_SHAPE = (28, 28, 1)
WIDTH, HEIGHT = 640, 480
SEVEN = [[(0.0, 0.04), (0.7, 0.0)], [(0.7, 0.0), (0.45, 0.5), (0.3, 1.0)]]
COLUMN, ROW = np.meshgrid(np.arange(WIDTH) / WIDTH, np.arange(HEIGHT) / HEIGHT)


def drawn(pen: float = 9, size: float = 200, left: float = 250, top: float = 120) -> np.ndarray:
    """A seven in ink: float [480, 640], 1 where the pen was."""
    picture = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(picture)
    for stroke in SEVEN:
        points = [(left + size * x, top + size * y) for x, y in stroke]
        draw.line(points, 255, round(pen), "curve")
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(1)), np.float32) / 255


def picture_of(brightness: np.ndarray) -> np.ndarray:
    """A gray photo as it is read: uint8 [height, width, 3]."""
    gray = np.round(np.clip(brightness, 0, 1) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


def noise(spread: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, (HEIGHT, WIDTH))


def in_uneven_light() -> np.ndarray:
    return (0.35 + 0.6 * (0.7 * COLUMN + 0.3 * ROW)) * (1 - 0.7 * drawn()) + noise(0.02)


def in_a_shadow() -> np.ndarray:
    shadow = 1 / (1 + np.exp(-60 * (COLUMN + 0.4 * ROW - 0.6)))
    return 0.9 * (1 - 0.4 * shadow) * (1 - 0.7 * drawn()) + noise(0.01)


def on_ruled_paper() -> np.ndarray:
    lines = 0.15 * ((ROW * HEIGHT) % 40 < 2)
    return 0.85 * (1 - np.maximum(0.75 * drawn(), lines)) + noise(0.01)


def on_a_table() -> np.ndarray:
    paper = (COLUMN > 0.1) & (COLUMN < 0.93) & (ROW > 0.08 + 0.05 * COLUMN)
    table = 0.25 + 0.05 * np.sin(60 * COLUMN + 5 * np.sin(9 * ROW))
    return np.where(paper, (0.7 + 0.2 * ROW) * (1 - 0.7 * drawn()), table) + noise(0.01)


def with_chalk() -> np.ndarray:
    return 0.15 + 0.1 * COLUMN + 0.6 * drawn() + noise(0.02)


def with_a_pencil() -> np.ndarray:
    return (0.6 + 0.3 * ROW) * (1 - 0.35 * drawn(pen=4)) + noise(0.02)


def with_a_thick_marker() -> np.ndarray:
    return (0.6 + 0.3 * ROW) * (1 - 0.7 * drawn(pen=60, size=300, top=80)) + noise(0.01)


def on_a_screen() -> np.ndarray:
    return 1 - drawn()


def light_on_a_screen() -> np.ndarray:
    return drawn()


SCENES = [
    in_uneven_light,
    in_a_shadow,
    on_ruled_paper,
    on_a_table,
    with_chalk,
    with_a_pencil,
    with_a_thick_marker,
    on_a_screen,
    light_on_a_screen,
]


@pytest.fixture(scope="module")
def gray() -> Image.Image:
    """A drawing on a screen."""
    return Image.fromarray(picture_of(on_a_screen())[..., 0])


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of the pixels of two images."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def pasted(image: np.ndarray, left: int = 120, top: int = 40) -> np.ndarray:
    """An MNIST-like image as one finds it: enlarged, dark on light, off the middle."""
    large = 235 - np.minimum(image[..., 0], 235).repeat(8, 0).repeat(8, 1)
    canvas = np.full((300, 420), 235, np.uint8)
    canvas[top : top + large.shape[0], left : left + large.shape[1]] = large
    return np.repeat(canvas[..., None], 3, axis=-1)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_drawing_is_found_whatever_it_is_on(scene: Callable[[], np.ndarray]) -> None:
    ideal = prepare_drawing(picture_of(1 - drawn(pen=22)), MNIST_SHAPE).image
    image = prepare_drawing(picture_of(scene()), MNIST_SHAPE).image
    assert image.shape == MNIST_SHAPE
    assert image.dtype == np.uint8
    assert likeness(image, ideal) > 0.75
    lit = np.argwhere(image[..., 0] > 40)
    assert max(np.ptp(lit, axis=0)) in (18, 19)
    assert image.max() == 255
    corners = [image[row, column, 0] for row in (0, -1) for column in (0, -1)]
    assert corners == [0, 0, 0, 0]


def test_an_image_made_like_mnist_comes_back_as_it_was(digits: Dataset) -> None:
    likenesses, differences = [], []
    for digit in digits.test.images[:15]:
        original = prepare_drawing(pasted(digit), MNIST_SHAPE).image
        again = prepare_drawing(pasted(original), MNIST_SHAPE).image
        likenesses.append(likeness(again, original))
        differences.append(np.abs(again.astype(int) - original).mean())
    assert np.median(likenesses) > 0.995
    assert np.median(differences) < 3.5
    # Where the centre of mass is half way between two pixels, it may be moved to either.
    assert min(likenesses) > 0.9


def test_mnist_comes_back_as_it_was_and_is_taken_for_the_same(
    mnist_folder: Path, learned: Any
) -> None:
    from lenet.analysis.trained import predict

    originals = read_idx(mnist_folder / "t10k-images-idx3-ubyte.gz")[:60, ..., None]
    rng = np.random.default_rng(0)
    pictures = [pasted(image, rng.integers(5, 190), rng.integers(5, 70)) for image in originals]
    result = np.stack([prepare(picture, MNIST_SHAPE, "mnist").image for picture in pictures])
    differences = np.abs(result.astype(int) - originals).mean((1, 2, 3))
    assert np.median(differences) < 1.5
    assert np.median([likeness(*pair) for pair in zip(result, originals, strict=True)]) > 0.995
    before, after = (predict(learned.model, images)[0].argmax(1) for images in (originals, result))
    assert np.mean(before == after) >= 0.95


def test_the_bundled_digits_fill_their_images(digits: Dataset, learned: Any) -> None:
    from lenet.analysis.trained import predict

    originals = digits.test.images[:40]
    result = np.stack([prepare(pasted(image), MNIST_SHAPE, "digits").image for image in originals])
    before, after = (predict(learned.model, images)[0].argmax(1) for images in (originals, result))
    assert np.mean(before == after) >= 0.9


def test_a_drawing_fills_its_box_around_its_centre_of_mass() -> None:
    for share, box in ((20 / 28, 20), (1.0, 28), (0.5, 14)):
        image = prepare_drawing(picture_of(1 - drawn(pen=20)), MNIST_SHAPE, share).image[..., 0]
        rows, columns = np.nonzero(image)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == box
        if box < 28:
            middle = np.average(np.argwhere(image), axis=0, weights=image[image > 0])
            assert np.all(np.abs(middle - 14) <= 0.5)


def test_thin_strokes_are_widened_and_thick_ones_kept() -> None:
    notes = []
    for pen in (3, 24, 40):
        prepared = prepare_drawing(picture_of(1 - drawn(pen)), MNIST_SHAPE)
        notes.append(prepared.stages[4].note)
        width = stroke_width(prepared.image[..., 0] > 127)
        assert width == pytest.approx(max(2.2, pen * 20 / 200), abs=1)
    assert notes == ["thin strokes widened", "aspect ratio kept", "aspect ratio kept"]


def test_the_width_of_a_stroke_is_measured() -> None:
    mask = np.zeros((100, 100), bool)
    mask[10:90, 40:45] = True
    assert stroke_width(mask) == pytest.approx(5, rel=0.25)


def test_every_stage_can_be_drawn() -> None:
    picture = picture_of(in_uneven_light())
    prepared = prepare_drawing(picture, MNIST_SHAPE)
    titles = [stage.title for stage in prepared.stages]
    assert titles == [
        "Your image",
        "Gray",
        "Ink only",
        "Cropped",
        "Scaled to 20 × 20",
        "Centred in 28 × 28",
    ]
    assert np.array_equal(prepared.stages[0].picture, picture)
    assert np.array_equal(prepared.stages[-1].picture, prepared.image[..., 0])
    assert all(stage.picture.dtype == np.uint8 for stage in prepared.stages)
    box = prepared.stages[2].box
    assert box is not None
    top, left, bottom, right = box
    assert prepared.stages[3].picture.shape == (bottom - top, right - left)
    assert (left, top, right, bottom) == pytest.approx((250, 120, 390, 320), abs=12)


def test_the_image_has_the_shape_the_network_takes() -> None:
    picture = picture_of(on_a_screen())
    assert prepare_drawing(picture, (64, 48, 3)).image.shape == (64, 48, 3)
    coloured = prepare(picture, (32, 32, 3), "cifar10", "drawing").image
    assert np.ptp(coloured, axis=-1).max() == 0


@pytest.mark.parametrize(
    "brightness",
    [
        np.zeros((200, 300)),
        np.ones((200, 300)),
        0.02 + noise(0.01),
        0.9 + noise(0.03),
        0.3 + 0.6 * COLUMN + noise(0.03),
        0.2 + 0.7 * (0.6 * COLUMN + 0.4 * ROW) + noise(0.08),
        1 - drawn(pen=5, size=3),
    ],
    ids=["black", "white", "dark", "paper", "shaded", "very noisy", "a dot"],
)
def test_nothing_drawn_is_refused(brightness: np.ndarray) -> None:
    with pytest.raises(ValueError, match="nothing drawn"):
        prepare_drawing(picture_of(brightness), MNIST_SHAPE)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 300), (300, 1), (3, 1000), (28, 28)])
@pytest.mark.parametrize("kind", ["noise", "half"])
def test_every_shape_is_accepted(shape: tuple[int, int], kind: str) -> None:
    values = np.random.default_rng(0).random(shape)
    if kind == "half":
        values = np.zeros(shape)
        values[: shape[0] // 2, : shape[1] // 2] = 1
    try:
        assert prepare_drawing(picture_of(values), MNIST_SHAPE).image.shape == MNIST_SHAPE
    except ValueError as error:
        assert "nothing drawn" in str(error)
    assert prepare_photo(picture_of(values), (32, 24, 3)).image.shape == (32, 24, 3)


class TestPhotographs:
    """Photos are only brought to the network's size."""

    def test_they_become_what_a_folder_of_them_becomes(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        small = Image.fromarray(rng.integers(0, 255, (6, 9, 3), dtype=np.uint8))
        small.resize((90, 60), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
        picture = read_picture(tmp_path / "a.png")
        for resize in ("crop", "squash"):
            for channels in (1, 3):
                result = prepare_photo(picture, (32, 32, channels), resize).image
                expected = decode(tmp_path / "a.png", 32, channels, resize)
                assert np.abs(result.astype(int) - expected).max() <= 2

    def test_the_part_that_is_taken_is_framed(self) -> None:
        picture = np.zeros((100, 200, 3), np.uint8)
        picture[:, 50:150] = (255, 0, 0)
        prepared = prepare_photo(picture, (10, 10, 3))
        assert prepared.stages[0].box == (0, 50, 100, 150)
        assert np.array_equal(prepared.image, np.full((10, 10, 3), (255, 0, 0), np.uint8))
        squashed = prepare_photo(picture, (10, 10, 3), "squash")
        assert [stage.title for stage in squashed.stages] == ["Your image", "Scaled to 10 × 10"]

    def test_one_of_the_right_size_is_taken_as_it_is(self, digits: Dataset) -> None:
        for image in digits.test.images[:20]:
            result = prepare(np.repeat(image, 3, axis=-1), MNIST_SHAPE, "digits")
            assert np.array_equal(result.image, image)

    def test_clothes_on_white_become_clothes_on_black(self) -> None:
        shirt = np.full((280, 280, 3), 250, np.uint8)
        shirt[60:220, 60:220] = 60
        result = prepare(shirt, MNIST_SHAPE, "fashion_mnist").image
        assert result[0, 0, 0] == 5
        assert result[14, 14, 0] == 195
        assert np.array_equal(prepare(255 - shirt, MNIST_SHAPE, "fashion_mnist").image, result)

    def test_the_way_can_be_chosen(self) -> None:
        picture = picture_of(on_a_screen())

        def stages(prepared: Prepared) -> list[str]:
            return [stage.title for stage in prepared.stages]

        assert "Ink only" in stages(prepare(picture, MNIST_SHAPE, "mnist"))
        assert "Ink only" not in stages(prepare(picture, (32, 32, 3), "pets"))
        assert "Ink only" not in stages(prepare(picture, MNIST_SHAPE, "mnist", "photo"))
        assert "Ink only" in stages(prepare(picture, (32, 32, 3), "pets", "drawing"))


class TestFiles:
    """Every usual kind of file is read; any other is refused in one sentence."""

    @pytest.mark.parametrize("kind", ["png", "jpg", "webp", "bmp", "1.png", "P.png", "CMYK.jpg"])
    def test_the_same_drawing_in_any_kind_of_file(
        self, tmp_path: Path, gray: Image.Image, kind: str
    ) -> None:
        mode = kind.split(".")[0] if "." in kind else "L"
        path = tmp_path / f"seven.{kind}"
        (gray if mode == "L" else gray.convert(mode)).save(path)
        expected = prepare_drawing(np.asarray(gray.convert("RGB")), MNIST_SHAPE).image
        result = prepare_drawing(read_picture(path), MNIST_SHAPE).image
        assert likeness(result, expected) > 0.98

    def test_16_bits_of_gray(self, tmp_path: Path, gray: Image.Image) -> None:
        Image.fromarray(np.asarray(gray).astype(np.uint16) * 257).save(tmp_path / "seven.png")
        assert np.array_equal(read_picture(tmp_path / "seven.png"), np.asarray(gray.convert("RGB")))

    @pytest.mark.parametrize("ink", [0, 255])
    def test_transparent_paper_under_dark_and_light_ink(self, tmp_path: Path, ink: int) -> None:
        strokes = Image.fromarray(picture_of(drawn())[..., 0])
        Image.merge("LA", (Image.new("L", strokes.size, ink), strokes)).save(tmp_path / "a.png")
        result = read_picture(tmp_path / "a.png")[..., 0]
        expected = np.asarray(strokes) if ink else 255 - np.asarray(strokes)
        assert np.abs(result.astype(int) - expected).max() <= 1

    @pytest.mark.parametrize(
        ("orientation", "turned"),
        [
            (3, Image.Transpose.ROTATE_180),
            (6, Image.Transpose.ROTATE_90),
            (8, Image.Transpose.ROTATE_270),
        ],
    )
    def test_a_turned_camera(
        self, tmp_path: Path, gray: Image.Image, orientation: int, turned: Image.Transpose
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        gray.transpose(turned).save(tmp_path / "seven.jpg", exif=exif)
        result = read_picture(tmp_path / "seven.jpg")
        assert result.shape == (HEIGHT, WIDTH, 3)
        assert likeness(result[..., 0], np.asarray(gray)) > 0.99

    def test_a_large_photograph_is_made_smaller(self, tmp_path: Path, gray: Image.Image) -> None:
        gray.resize((4000, 3000)).save(tmp_path / "seven.jpg")
        result = read_picture(tmp_path / "seven.jpg")
        assert result.shape == (750, 1000, 3)
        expected = prepare_drawing(np.asarray(gray.convert("RGB")), MNIST_SHAPE).image
        assert likeness(prepare_drawing(result, MNIST_SHAPE).image, expected) > 0.95

    @pytest.mark.parametrize("side", [20_000, 12_000, 9_500])
    def test_too_many_pixels_are_refused_before_they_are_decoded(
        self, tmp_path: Path, side: int
    ) -> None:
        (tmp_path / "huge.png").write_bytes(png_header(side))
        with pytest.raises(ValueError, match=r"huge\.png: has more than 89,478,485 pixels.*1,000"):
            read_picture(tmp_path / "huge.png")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"hello", "is not a PNG, JPEG, WebP or BMP image"),
            (b"%PDF-1.4", "is a PDF, not"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a PNG"),
        ],
        ids=["empty", "text", "pdf", "eps"],
    )
    def test_a_file_that_is_not_an_image_is_refused(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_picture(tmp_path / "a.png")

    @pytest.mark.parametrize("kind", ["png", "jpeg"])
    def test_a_truncated_file_is_refused(
        self, tmp_path: Path, gray: Image.Image, kind: str
    ) -> None:
        buffer = io.BytesIO()
        gray.save(buffer, kind)
        content = buffer.getvalue()
        (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match="damaged"):
            read_picture(tmp_path / "a.png")

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_picture(tmp_path / "a.png")
        with pytest.raises(ValueError, match="to be a file. Received: a folder"):
            read_picture(tmp_path)


def png_header(side: int) -> bytes:
    """A PNG whose header claims that size, without pixels: decoding it would fail in another way."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_two_digits_in_one_picture_are_noticed_and_one_is_not(digits: Dataset) -> None:
    images, gap = digits.test.images[:300, ..., 0], np.zeros((28, 4), np.uint8)
    found: dict[str, list[int]] = {"single": [], "beside": [], "below": []}
    for image, other in zip(images, images[::-1], strict=True):
        beside, below = np.hstack([image, gap, other]), np.vstack([image, gap.T, other])
        for name, drawing in (("single", image), ("beside", beside), ("below", below)):
            top, left, bottom, right = bounding_box(drawing > 90)
            mask = drawing[top:bottom, left:right] > 90
            found[name].append(number_of_drawings(mask))
    assert np.mean(np.array(found["single"]) == 1) >= 0.99
    assert np.mean(np.array(found["beside"]) == 2) >= 0.9
    assert np.mean(np.array(found["below"]) == 2) >= 0.6
