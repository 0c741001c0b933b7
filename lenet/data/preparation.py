"""Makes of a photograph or drawing what the network was trained on, as MNIST was made.

After Y. LeCun, C. Cortes & C. Burges, The MNIST database of handwritten digits: each digit was
scaled into a box of 20x20 pixels without changing its aspect, and placed in 28x28 pixels with
its centre of mass in the middle. A photograph must first lose its paper, shadows and table.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from lenet.data.ink import LEAST_CONTRAST, drawn_part, ink_of, is_dark_on_light
from lenet.data.pictures import KINDS, BadPicture, flattened, opened
from lenet.registry import Resize

WORKING_PIXELS = 1000  # A picture's longer side, at most, after it was read.
MNIST_BOX = 20 / 28  # The box a digit fills, as a share of the image's side.
BOX_SHARES = {"mnist": MNIST_BOX, "digits": 1.0}
Way = Literal["auto", "drawing", "photo"]

OVERSAMPLING = 8  # Strokes are measured on a picture this much finer than the image,
THIN, USUAL = 1.3, 2.2  # in its pixels: MNIST's thinnest hundredth, and a little below its mean.


@dataclass(frozen=True)
class Stage:
    """A picture on its way to the network.

    Attributes:
        title: what was done, in two or three words.
        note: what that means, in a few words.
        picture: uint8 [height, width] or [height, width, 3].
        box: top, left, bottom and right, in pixels, of the part the next stage takes, if it
            does not take all.
        middle: row and column, in pixels, that the drawing was centred on, if it was.
    """

    title: str
    note: str
    picture: np.ndarray
    box: tuple[int, int, int, int] | None = None
    middle: tuple[float, float] | None = None


@dataclass(frozen=True)
class Prepared:
    """A picture as the network takes it, and every stage on the way there.

    Attributes:
        image: uint8 [height, width, channels].
        stages: the first is the picture as it was read, the last the image.
    """

    image: np.ndarray
    stages: tuple[Stage, ...]


def read_picture(path: Path) -> np.ndarray:
    """Reads a picture file: upright, in colour, not larger than there is use for.

    Transparent parts become white, or black where what is drawn is light.

    Returns:
        uint8 [height, width, 3], the longer side at most 1,000 pixels.

    Raises:
        OSError: the file is not there or cannot be read.
        ValueError: it is not a picture, is damaged, or has too many pixels to be decoded safely.
    """
    with path.open("rb"):
        pass  # What is missing or forbidden is the system's to say.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with opened(path) as image:
                image.draft("RGB", (WORKING_PIXELS, WORKING_PIXELS))
                ImageOps.exif_transpose(image, in_place=True)
                flat = flattened(_on_ground(image), "RGB")
    except BadPicture as error:
        raise ValueError(
            f"{path}: {error}. Give a {KINDS}, about {WORKING_PIXELS:,} pixels wide."
        ) from error
    flat.thumbnail((WORKING_PIXELS, WORKING_PIXELS), Image.Resampling.BOX)
    return np.asarray(flat)


def prepare(
    picture: np.ndarray,
    image_shape: tuple[int, int, int],
    dataset_name: str,
    way: Way = "auto",
    resize: Resize = "crop",
) -> Prepared:
    """Makes an image like those a network was trained on.

    Args:
        picture: uint8 [height, width, 3].
        image_shape: height, width and channels the network takes.
        dataset_name: what it was trained on, e.g. "mnist".
        way: "drawing" or "photo"; "auto" takes colour images, and Fashion-MNIST's, for
            photographs, and so a picture that has the images' size already, save for MNIST.
        resize: how photographs were brought to the images' size.

    Raises:
        ValueError: nothing is drawn on the picture.
    """
    if way == "auto":
        of_their_size = picture.shape[:2] == image_shape[:2] and dataset_name != "mnist"
        photo = image_shape[2] > 1 or dataset_name == "fashion_mnist" or of_their_size
        way = "photo" if photo else "drawing"
    if way == "photo":
        return prepare_photo(picture, image_shape, resize, dataset_name == "fashion_mnist")
    return prepare_drawing(picture, image_shape, BOX_SHARES.get(dataset_name, MNIST_BOX))


def prepare_drawing(
    picture: np.ndarray, image_shape: tuple[int, int, int], box_share: float = MNIST_BOX
) -> Prepared:
    """Makes of something drawn on paper, board or screen an image like MNIST's: light on black.

    Args:
        picture: uint8 [height, width, 3].
        image_shape: height, width and channels the network takes.
        box_share: the side of the box that the drawing fills, as a share of the image's.

    Raises:
        ValueError: nothing is drawn on the picture.
    """
    gray = picture @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    dark_on_light = is_dark_on_light(gray)
    ink = ink_of(gray if dark_on_light else 1 - gray)
    kept = ink * drawn_part(ink)
    box = bounding_box(kept > LEAST_CONTRAST)
    cropped = kept[box[0] : box[2], box[1] : box[3]]
    height, width, channels = image_shape
    side = max(1, round(box_share * min(height, width)))
    scaled, thickened = scaled_to_box(cropped, side)
    image = centred_by_mass(scaled, height, width)
    scaled_note = "thin strokes widened" if thickened else "aspect kept"
    stages = (
        Stage("Your picture", f"{picture.shape[1]} × {picture.shape[0]} pixels", picture),
        Stage("Gray", "brightness alone", to_uint8(gray)),
        Stage(
            "Ink alone",
            "inverted, paper made black" if dark_on_light else "already light on dark",
            to_uint8(kept),
            box,
        ),
        Stage("Cropped", "to what is drawn", to_uint8(cropped)),
        Stage(f"Scaled to {side} × {side}", scaled_note, to_uint8(scaled)),
        Stage(
            f"Centred in {width} × {height}",
            "by its centre of mass",
            to_uint8(image),
            middle=(height / 2, width / 2),
        ),
    )
    return Prepared(np.repeat(to_uint8(image)[..., None], channels, axis=-1), stages)


def prepare_photo(
    picture: np.ndarray,
    image_shape: tuple[int, int, int],
    resize: Resize = "crop",
    on_black: bool = False,
) -> Prepared:
    """Makes of a photograph an image of the network's size, in gray if need be.

    Args:
        picture: uint8 [height, width, 3].
        image_shape: height, width and channels the network takes, 1 or 3.
        resize: "crop" takes the middle, in the images' shape; "squash" takes all.
        on_black: turn a picture of something on a light ground into its negative, as
            Fashion-MNIST did.
    """
    height, width, channels = image_shape
    rows, columns = picture.shape[:2]
    box = _middle(rows, columns, height / width) if resize == "crop" else (0, 0, rows, columns)
    cropped = picture[box[0] : box[2], box[1] : box[3]]
    small = Image.fromarray(cropped).resize((width, height), Image.Resampling.BICUBIC)
    cut = cropped.shape != picture.shape
    stages = [Stage("Your picture", f"{columns} × {rows} pixels", picture, box if cut else None)]
    if cut:
        stages.append(Stage("Cropped", "the middle", cropped))
    stages.append(
        Stage(f"Scaled to {width} × {height}", "the size it was trained on", np.asarray(small))
    )
    if channels == 1:
        gray = np.asarray(small.convert("L"))
        edge = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
        inverted = on_black and np.median(edge) > 127
        gray = 255 - gray if inverted else gray
        note = "inverted: light on dark" if inverted else "brightness alone"
        stages.append(Stage("Gray", note, gray))
    return Prepared(stages[-1].picture.reshape(height, width, channels), tuple(stages))


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what is true; the last two are one past it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def scaled_to_box(cropped: np.ndarray, side: int) -> tuple[np.ndarray, bool]:
    """Scales a drawing until its longer side fills a box, by mean values, its aspect kept.

    A thin pen's line would all but vanish there: it is widened to what MNIST's strokes have.

    Args:
        cropped: float [height, width], from 0 to 1, light on black.
        side: of the box, in pixels.

    Returns:
        float [h, w] with the greater of h and w equal to `side` and the brightest pixel 1, and
        whether strokes were widened.
    """
    fine = _scaled(cropped, side * OVERSAMPLING)
    unit = OVERSAMPLING * side / 20
    width = stroke_width(fine > 0.5)
    thin = width < THIN * unit
    if thin:
        grown = int(USUAL * unit - width) // 2
        widened = Image.fromarray(to_uint8(np.pad(fine, grown)))
        fine = np.asarray(widened.filter(ImageFilter.MaxFilter(2 * grown + 1)), np.float32) / 255
        fine = _scaled(fine, side * OVERSAMPLING)
    scaled = _scaled(fine, side)
    return scaled / scaled.max(), thin


def stroke_width(mask: np.ndarray) -> float:
    """The mean width of strokes in pixels: twice their area by their outline's length."""
    padded = np.pad(mask, 1)
    steps = sum(np.count_nonzero(np.diff(padded, axis=axis)) for axis in (0, 1))
    # A slanting outline walked in steps along rows and columns is 4 / π times too long on average.
    return 2 * np.count_nonzero(mask) / max(1.0, steps * np.pi / 4)


def centred_by_mass(scaled: np.ndarray, height: int, width: int) -> np.ndarray:
    """Places a drawing on black so that its centre of mass is in the middle, to the whole pixel.

    Args:
        scaled: float [h, w], not larger than `height` and `width`.

    Returns:
        float [height, width].
    """
    rows, columns = scaled.shape
    mass = scaled.sum()
    row = float((scaled.sum(1) @ np.arange(rows)) / mass)
    column = float((scaled.sum(0) @ np.arange(columns)) / mass)
    top = min(max(0, round(height / 2 - row)), height - rows)
    left = min(max(0, round(width / 2 - column)), width - columns)
    image = np.zeros((height, width), scaled.dtype)
    image[top : top + rows, left : left + columns] = scaled
    return image


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Brightness from 0 to 1 as whole numbers from 0 to 255."""
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _middle(rows: int, columns: int, aspect: float) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of the largest middle part of a height by width of `aspect`."""
    height = max(1, min(rows, round(columns * aspect)))
    width = max(1, min(columns, round(rows / aspect)))
    top, left = (rows - height) // 2, (columns - width) // 2
    return top, left, top + height, left + width


def _on_ground(image: Image.Image) -> Image.Image:
    """A light drawing on a transparent ground, on black; any other picture as it is."""
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    opaque = np.asarray(rgba.getchannel("A"), np.float64)
    brightness = (np.asarray(rgba.convert("L")) * opaque).sum() / max(opaque.sum(), 1)
    if brightness < 128:
        return rgba
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba)


def _scaled(values: np.ndarray, longer: int) -> np.ndarray:
    """Scales by mean values so that the longer side has that many pixels."""
    height, width = (max(1, round(n * longer / max(values.shape))) for n in values.shape)
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX))
