"""One picture file, checked and decoded: PNG, JPEG, WebP or BMP to a square of bytes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from lenet.registry import Resize

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
KINDS = "PNG, JPEG, WebP or BMP"
SUFFIXES = frozenset(".png .jpg .jpeg .jpe .jfif .webp .bmp".split())
# Pictures, to a person, that must not be passed over in silence.
OTHER_SUFFIXES = frozenset(
    ".gif .tif .tiff .heic .heif .avif .jp2 .jxl .ppm .pgm .ico .psd .svg .tga .dng".split()
)
MOST_PIXELS = 89_478_485  # Where Pillow begins to warn of a decompression bomb: 256 MB as RGB.
MOST_BYTES = 500_000_000
DRAFT = 2  # A JPEG is decoded to no less than this many times the size wanted, for quality.
STARTS = {b"GIF8": "a GIF", b"II*\0": "a TIFF", b"MM\0*": "a TIFF", b"%PDF": "a PDF"}
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")


class BadPicture(ValueError):
    """A file that is not a picture as expected; the message says why, without its name."""


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded.

    Attributes:
        width, height: in pixels, as stored: before any EXIF rotation.
        gray: whether the file's kind of pixels holds no colour.
        sha256: of the file's content, in hexadecimal.
    """

    width: int
    height: int
    gray: bool
    sha256: str


def read_header(path: Path) -> Header:
    """Reads a picture's size and kind, and hashes its file.

    Raises:
        BadPicture: it is of another kind, unreadable, or too large to be decoded safely.
    """
    with opened(path) as image:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Header(*image.size, _is_gray(image), sha256)


def decode(path: Path, size: int, channels: int, resize: Resize) -> np.ndarray:
    """Decodes a picture: upright, on white where it is transparent, in gray or colour.

    Args:
        size: the side of the result, in pixels.
        channels: 1 for gray, 3 for RGB.
        resize: "crop" scales the shorter side and takes the middle, "squash" scales both sides.
            A picture that has the size already keeps its exact bytes.

    Returns:
        uint8 [size, size, channels].

    Raises:
        BadPicture: as `read_header`, or it is damaged.
    """
    with opened(path) as image:
        image.draft(None, (DRAFT * size, DRAFT * size))
        ImageOps.exif_transpose(image, in_place=True)
        flat = flattened(image, "L" if channels == 1 else "RGB")
        if resize == "crop":
            scaled = ImageOps.fit(flat, (size, size), Image.Resampling.BICUBIC)
        else:
            scaled = flat.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(scaled).reshape(size, size, channels)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture whose header is read and whose pixels are not; what goes wrong is a BadPicture."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadPicture(f"has more than {MOST_BYTES:,} bytes")
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadPicture(f"has more than {MOST_PIXELS:,} pixels")
            yield image
    except BadPicture:
        raise
    except Image.DecompressionBombError:
        raise BadPicture(f"has more than {MOST_PIXELS:,} pixels") from None
    except Image.UnidentifiedImageError:
        raise BadPicture(_what_else(path)) from None
    except OSError as error:
        raise BadPicture(error.strerror or f"damaged: {error}") from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes.
        raise BadPicture(f"damaged: {error}") from error


def _what_else(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        return "is empty"
    what = next((kind for magic, kind in STARTS.items() if start.startswith(magic)), None)
    return f"is {what}, not {KINDS}" if what else f"is no {KINDS} picture"


def _is_gray(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode in GRAY_MODES
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def flattened(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    """A picture in 8 bits per channel, on white where it is transparent."""
    if image.mode.startswith("I"):
        # 16 bits of gray: 65,535 / 257 is 255. Pillow's own conversion would cut off at 255.
        values = np.asarray(image).clip(0, 65_535)
        image = Image.fromarray(np.round(values / np.float32(257)).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)
