"""Reads and decodes many image files in parallel, within the available memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from lenet.data.image_files import (
    KINDS,
    OTHER_SUFFIXES,
    BadImageError,
    Header,
    decode,
    read_header,
)
from lenet.data.layouts import ImageFile
from lenet.reading import free_memory
from lenet.registry import FOLDER_IMAGE_SIZE, Resize

Result = TypeVar("Result")


def read_headers(files: list[ImageFile]) -> tuple[dict[Path, Header], dict[Path, str]]:
    """Reads the headers of image files.

    Returns:
        The headers by path, and what is wrong with the files that have no usable header.
    """
    headers: dict[Path, Header] = {}
    problems: dict[Path, str] = {}

    def check(file: ImageFile) -> Header:
        suffix = file.path.suffix.lower()
        if not file.class_name:
            raise BadImageError("has no class in its name (expected a name like samoyed_12.jpg)")
        if suffix in OTHER_SUFFIXES:
            raise BadImageError(f"is a {suffix[1:].upper()}, not {KINDS}")
        return read_header(file.path)

    for file, result in _in_parallel(check, files, "Reading image files"):
        if isinstance(result, BadImageError):
            problems[file.path] = str(result)
        else:
            headers[file.path] = result
    return headers, problems


def common_shape(headers: Iterable[Header], image_size: int | None) -> tuple[int, int]:
    """The side and the number of channels for all images.

    Args:
        image_size: the side that the user chose; for None see `FolderOptions`.
    """
    headers = list(headers)
    channels = 1 if all(header.gray for header in headers) else 3
    sides = {side for header in headers for side in (header.width, header.height)}
    size = sides.pop() if len(sides) == 1 else FOLDER_IMAGE_SIZE
    return image_size or min(size, FOLDER_IMAGE_SIZE), channels


def origin_of(headers: Iterable[Header], size: int, resize: Resize) -> tuple[str, float]:
    """How files of these sizes become square images.

    Args:
        size: the side of the images, in pixels.

    Returns:
        E.g. "cropped from 60×80", or "" if the files have this size; and the share of a photo's
        pixels that is cut away, the mean over all files.
    """
    sizes = [(header.width, header.height) for header in headers]
    if set(sizes) == {(size, size)}:
        return "", 0.0
    cut = sum(1 - min(side) / max(side) for side in sizes) / len(sizes) if resize == "crop" else 0.0
    squares = all(width == height for width, height in sizes)
    verb = "scaled" if squares else {"crop": "cropped", "squash": "squashed"}[resize]
    ends = dict.fromkeys((min(sizes, key=math.prod), max(sizes, key=math.prod)))
    return f"{verb} from {' to '.join(f'{width}×{height}' for width, height in ends)}", cut


def decode_all(
    files: list[ImageFile], size: int, channels: int, resize: Resize
) -> tuple[np.ndarray, dict[Path, str]]:
    """Decodes image files.

    Args:
        size, channels, resize: as `image_files.decode`.

    Returns:
        The images, uint8 [n, size, size, channels], and what is wrong with the files that cannot
        be decoded. The images of these files are undefined.

    Raises:
        ValueError: the images do not fit into memory.
    """
    check_memory(len(files), size, channels)
    images = np.empty((len(files), size, size, channels), np.uint8)
    indices = {file.path: index for index, file in enumerate(files)}
    problems: dict[Path, str] = {}

    def fill(file: ImageFile) -> None:
        images[indices[file.path]] = decode(file.path, size, channels, resize)

    for file, result in _in_parallel(fill, files, "Decoding images"):
        if isinstance(result, BadImageError):
            problems[file.path] = str(result)
    return images, problems


def check_memory(count: int, size: int, channels: int) -> None:
    """Raises an error for images that do not fit into memory.

    Raises:
        ValueError: they do not fit; the message suggests a size that does.
    """
    needed, available = count * size**2 * channels, free_memory()
    if 2 * needed > available:
        fitting = math.isqrt(available // (2 * count * channels))
        raise ValueError(
            f"Expected images that fit into memory. Received: {count:,} images of "
            f"{size}x{size}x{channels}, which need {needed / 1e9:,.1f} GB, and TensorFlow's own "
            f"copy needs as much again. {available / 1e9:,.1f} GB are free. Use --image-size "
            f"{fitting} or less, or fewer --classes."
        )


def _in_parallel(
    work: Callable[[ImageFile], Result], files: Sequence[ImageFile], title: str
) -> Iterator[tuple[ImageFile, Result | BadImageError]]:
    """Calls a function for many files, with a progress bar on a terminal.

    Threads suffice, because Pillow decodes and scales without Python's global lock.
    """
    from rich.console import Console
    from rich.progress import Progress

    def attempt(file: ImageFile) -> Result | BadImageError:
        try:
            return work(file)
        except BadImageError as error:
            return error

    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with bar:
            results = bar.track(pool.map(attempt, files), total=len(files), description=title)
            yield from zip(files, results, strict=True)
    finally:
        # After an interrupt, this does not wait for work that has not started yet.
        pool.shutdown(cancel_futures=True)
