"""Checks one image file (PNG, JPEG, WebP or BMP) and decodes it to a square array of bytes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from lenet.reading import special_kind
from lenet.registry import Resize

PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
KINDS = "PNG, JPEG, WebP or BMP"
SUFFIXES = frozenset(".png .jpg .jpeg .jpe .jfif .webp .bmp".split())
# Users regard these files as images, so a message must say that they cannot be read.
OTHER_SUFFIXES = frozenset(
    ".gif .tif .tiff .heic .heif .avif .jp2 .jxl .ppm .pgm .ico .psd .svg .tga .dng".split()
)
MAXIMUM_PIXELS = 89_478_485  # Above this Pillow warns of a decompression bomb: 256 MB as RGB.
MAXIMUM_BYTES = 500_000_000
DRAFT = 2  # For quality, a JPEG is decoded to at least this many times the size needed.
FIRST_BYTES = {b"GIF8": "a GIF", b"II*\0": "a TIFF", b"MM\0*": "a TIFF", b"%PDF": "a PDF"}
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")


class BadImageError(ValueError):
    """A file is not a usable image. The message says why, without the file's name."""


@dataclass(frozen=True)
class Header:
    """The properties of an image file that are known before it is decoded.

    Attributes:
        width, height: the size in pixels as stored, before any EXIF rotation.
        gray: whether the file's pixel type has no colour.
        sha256: the sha256 of the file's content, in hexadecimal.
    """

    width: int
    height: int
    gray: bool
    sha256: str


def read_header(path: Path) -> Header:
    """Reads an image's size and pixel type, and hashes its file.

    Raises:
        BadImageError: the file is of a different kind, unreadable, or too large to decode safely.
    """
    with open_image(path) as image:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Header(*image.size, _is_gray(image), sha256)


def decode(path: Path, size: int, channels: int, resize: Resize) -> np.ndarray:
    """Decodes an image file upright, in gray or colour, with white in place of transparency.

    Args:
        size: the side of the result, in pixels.
        channels: 1 for gray, 3 for RGB.
        resize: "crop" scales the shorter side and keeps the middle, "squash" scales both sides.
            An image that already has this size keeps its exact bytes.

    Returns:
        uint8 [size, size, channels].

    Raises:
        BadImageError: as `read_header`, or the file is damaged.
    """
    with open_image(path) as image:
        image.draft(None, (DRAFT * size, DRAFT * size))
        ImageOps.exif_transpose(image, in_place=True)
        flat = flatten(image, "L" if channels == 1 else "RGB")
        if resize == "crop":
            scaled = ImageOps.fit(flat, (size, size), Image.Resampling.BICUBIC)
        else:
            scaled = flat.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(scaled).reshape(size, size, channels)


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image file and reads its header, but not its pixels yet.

    Raises:
        BadImageError: as `decode`, for any error here or in the `with` block.
    """
    try:
        if (kind := special_kind(path)) is not None:
            raise BadImageError(f"is {kind}, not a file")
        if path.stat().st_size > MAXIMUM_BYTES:
            raise BadImageError(f"has more than {MAXIMUM_BYTES:,} bytes")
        with Image.open(path, formats=PILLOW_FORMATS) as image:
            if image.width * image.height > MAXIMUM_PIXELS:
                raise BadImageError(f"has more than {MAXIMUM_PIXELS:,} pixels")
            yield image
    except BadImageError:
        raise
    except Image.DecompressionBombError:
        raise BadImageError(f"has more than {MAXIMUM_PIXELS:,} pixels") from None
    except Image.UnidentifiedImageError:
        raise BadImageError(_what_it_is(path)) from None
    except OSError as error:
        raise BadImageError(error.strerror or f"is damaged: {error}") from error
    except Exception as error:  # On damaged files Pillow's decoders raise errors of any type.
        raise BadImageError(f"is damaged: {error}") from error


def flatten(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    """Converts to 8 bits per channel, with white in place of transparency."""
    if image.mode.startswith("I"):
        # 16 bits of gray: 65,535 / 257 is 255. Pillow's own conversion would clip at 255.
        values = np.asarray(image).clip(0, 65_535)
        image = Image.fromarray(np.round(values / np.float32(257)).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        return "is empty"
    kind = next((kind for first, kind in FIRST_BYTES.items() if start.startswith(first)), None)
    return f"is {kind}, not {KINDS}" if kind else f"is not a {KINDS} image"


def _is_gray(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode in GRAY_MODES
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())
