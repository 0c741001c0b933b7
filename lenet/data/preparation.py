"""Turns a photo or drawing into an image like those that a network was trained on.

Paper, shadows and table are first removed from a drawing (`ink.py`). Then the drawing is scaled
and centred like MNIST's digits (`centring.py`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps

from lenet import reading
from lenet.data import digits
from lenet.data.centring import bounding_box, centred_by_mass, scaled_to_box, to_uint8
from lenet.data.image_files import KINDS, BadImageError, flatten, open_image
from lenet.data.ink import (
    INK,
    MINIMUM_CONTRAST,
    drawn_part,
    ink_of,
    is_dark_on_light,
    number_of_drawings,
)
from lenet.registry import TRAINING_IMAGES, Resize

WORKING_PIXELS = 1000  # The maximum length of the longer side of a photo or drawing.
MNIST_BOX = 20 / 28  # The side of the box that a digit fills, as a share of the image's side.
BOX_SHARES = {"mnist": MNIST_BOX, "digits": 1.0}
FEW_IMAGES = 5_000  # With fewer training images, the answer to a different image is less reliable.
Way = Literal["auto", "drawing", "photo"]


@dataclass(frozen=True)
class Stage:
    """A photo or drawing on its way to the network.

    Attributes:
        title: the step that led to this stage, in two or three words.
        note: more about this step, in a few words.
        picture: uint8 [height, width] or [height, width, 3].
        box: top, left, bottom and right, in pixels, of the part that the next stage uses; None
            for the whole image.
        middle: row and column, in pixels, on which the drawing was centred; None if it was not.
    """

    title: str
    note: str
    picture: np.ndarray
    box: tuple[int, int, int, int] | None = None
    middle: tuple[float, float] | None = None


@dataclass(frozen=True)
class Prepared:
    """An image for the network, and every stage on the way to it.

    Attributes:
        image: uint8 [height, width, channels].
        stages: the first is the photo or drawing as it was read, the last is the image.
        drawings: how many drawings, e.g. digits, seem to be next to each other or one below the other.
    """

    image: np.ndarray
    stages: tuple[Stage, ...]
    drawings: int = 1


def read_picture(path: Path) -> np.ndarray:
    """Reads a photo or drawing upright and in colour, and scales it down if it is large.

    Transparent parts become white, or black if the drawing is light.

    Returns:
        uint8 [height, width, 3], the longer side at most 1,000 pixels.

    Raises:
        OSError: the file does not exist or cannot be read.
        ValueError: it is not an image, is damaged, or has too many pixels to decode safely.
    """
    with reading.open_file(path):
        pass  # For a missing or forbidden file, the error of the operating system is the clearest.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with open_image(path) as image:
                image.draft("RGB", (WORKING_PIXELS, WORKING_PIXELS))
                ImageOps.exif_transpose(image, in_place=True)
                flat = flatten(_on_background(image), "RGB")
    except BadImageError as error:
        raise ValueError(
            f"{path}: {error}. Give a {KINDS} file, about {WORKING_PIXELS:,} pixels wide."
        ) from error
    flat.thumbnail((WORKING_PIXELS, WORKING_PIXELS), Image.Resampling.BOX)
    return np.asarray(flat)


def few_images(dataset: dict[str, Any]) -> str:
    """Why a network that was trained on few images may be wrong, and what to do, or "".

    Args:
        dataset: what the run has recorded about its images, see `Dataset.description`.
    """
    images = int(dataset["train"])
    if images >= FEW_IMAGES:
        return ""
    height, width, _ = dataset["image_shape"]
    origin = f", {dataset['origin']}" if dataset.get("origin") else ""
    more = "more images"
    if tuple(dataset["class_names"]) == digits.CLASSES:
        more = f"more images, e.g. the {TRAINING_IMAGES['mnist']:,} of MNIST (--dataset mnist)"
    return (
        f"There were only {images:,} training images ({width}×{height}{origin}). An image that looks "
        f"different from them may get a wrong answer, even with a high probability. Better: train on "
        f"{more}."
    )


def prepare(
    picture: np.ndarray,
    image_shape: tuple[int, int, int],
    dataset_name: str,
    way: Way = "auto",
    resize: Resize = "crop",
) -> Prepared:
    """Turns a photo or drawing into an image like those that a network was trained on.

    Args:
        picture: uint8 [height, width, 3].
        image_shape: height, width and channels of the network's input.
        dataset_name: the data set that the network was trained on, e.g. "mnist".
        way: "drawing" or "photo". "auto" means "photo" for colour images, for Fashion-MNIST,
            and, except for MNIST, if `picture` already has the right size.
        resize: how the training photos were scaled to the network's size.

    Raises:
        ValueError: nothing is drawn on it.
    """
    if way == "auto":
        has_right_size = picture.shape[:2] == image_shape[:2] and dataset_name != "mnist"
        is_photo = image_shape[2] > 1 or dataset_name == "fashion_mnist" or has_right_size
        way = "photo" if is_photo else "drawing"
    if way == "photo":
        return prepare_photo(picture, image_shape, resize, dataset_name == "fashion_mnist")
    return prepare_drawing(picture, image_shape, BOX_SHARES.get(dataset_name, MNIST_BOX))


def prepare_drawing(
    picture: np.ndarray, image_shape: tuple[int, int, int], box_share: float = MNIST_BOX
) -> Prepared:
    """Turns a drawing on paper, board or screen into an image like MNIST's, light on black.

    Args:
        picture: uint8 [height, width, 3].
        image_shape: height, width and channels of the network's input.
        box_share: the side of the box that the drawing fills, as a share of the image's side.

    Raises:
        ValueError: nothing is drawn on it.
    """
    gray = picture @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    dark_on_light = is_dark_on_light(gray)
    ink = ink_of(gray if dark_on_light else 1 - gray)
    kept = ink * drawn_part(ink)
    box = bounding_box(kept > MINIMUM_CONTRAST)
    cropped = kept[box[0] : box[2], box[1] : box[3]]
    drawings = number_of_drawings(cropped > INK)
    height, width, channels = image_shape
    side = max(1, round(box_share * min(height, width)))
    scaled, thickened = scaled_to_box(cropped, side)
    image = centred_by_mass(scaled, height, width)
    scaled_note = "thin strokes widened" if thickened else "aspect ratio kept"
    stages = (
        Stage("Your image", f"{picture.shape[1]} × {picture.shape[0]} pixels", picture),
        Stage("Gray", "brightness only", to_uint8(gray)),
        Stage(
            "Ink only",
            "inverted, with black paper" if dark_on_light else "already light on dark",
            to_uint8(kept),
            box,
        ),
        Stage(
            "Cropped",
            "to the drawing" if drawings == 1 else f"to {drawings} drawings: use one",
            to_uint8(cropped),
        ),
        Stage(f"Scaled to {side} × {side}", scaled_note, to_uint8(scaled)),
        Stage(
            f"Centred in {width} × {height}",
            "by its centre of mass",
            to_uint8(image),
            middle=(height / 2, width / 2),
        ),
    )
    final = np.repeat(to_uint8(image)[..., None], channels, axis=-1)
    return Prepared(final, stages, drawings)


def prepare_photo(
    picture: np.ndarray,
    image_shape: tuple[int, int, int],
    resize: Resize = "crop",
    on_black: bool = False,
) -> Prepared:
    """Scales a photo to the network's size, and converts it to gray for a network of gray images.

    Args:
        picture: uint8 [height, width, 3].
        image_shape: height, width and channels (1 or 3) of the network's input.
        resize: "crop" keeps the middle part of the right shape; "squash" keeps everything.
        on_black: whether to invert a photo with a light background, as in Fashion-MNIST.
    """
    height, width, channels = image_shape
    rows, columns = picture.shape[:2]
    box = _middle(rows, columns, height / width) if resize == "crop" else (0, 0, rows, columns)
    cropped = picture[box[0] : box[2], box[1] : box[3]]
    small = Image.fromarray(cropped).resize((width, height), Image.Resampling.BICUBIC)
    is_cropped = cropped.shape != picture.shape
    size_note = f"{columns} × {rows} pixels"
    stages = [Stage("Your image", size_note, picture, box if is_cropped else None)]
    if is_cropped:
        stages.append(Stage("Cropped", "to the middle", cropped))
    stages.append(
        Stage(f"Scaled to {width} × {height}", "the network's input size", np.asarray(small))
    )
    if channels == 1:
        gray = np.asarray(small.convert("L"))
        edge = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
        inverted = on_black and np.median(edge) > 127
        gray = 255 - gray if inverted else gray
        note = "inverted: light on dark" if inverted else "brightness only"
        stages.append(Stage("Gray", note, gray))
    return Prepared(stages[-1].picture.reshape(height, width, channels), tuple(stages))


def _middle(rows: int, columns: int, aspect: float) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of the largest middle part whose height / width is `aspect`."""
    height = max(1, min(rows, round(columns * aspect)))
    width = max(1, min(columns, round(rows / aspect)))
    top, left = (rows - height) // 2, (columns - width) // 2
    return top, left, top + height, left + width


def _on_background(image: Image.Image) -> Image.Image:
    """Puts a light drawing with transparent parts on black; returns any other image unchanged."""
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    opaque = np.asarray(rgba.getchannel("A"), np.float64)
    brightness = (np.asarray(rgba.convert("L")) * opaque).sum() / max(opaque.sum(), 1)
    if brightness < 128:
        return rgba
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba)
