"""Hostile pictures: bombs of each format, mutations, and paths that are not files."""

from __future__ import annotations

import io
import os
import random
import shutil
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from lenet.config import TrainConfig
from lenet.data.formats import read_images
from lenet.data.image_files import MAXIMUM_PIXELS, BadImageError, decode
from lenet.data.preparation import read_picture
from lenet.data.reader import FolderOptions
from lenet.explain import main as explain
from lenet.recording import runs
from lenet.train import main as train

from . import Trial, _programs
from ._limits import within_limits

FAULT = "A picture is damaged, made to do harm, or not a file at all"
PROMISE = (
    "It is refused before more pixels are decoded than the limit. Named pipes, devices, sockets and "
    "circular links are skipped or refused at once. There is always one line that names the file."
)
SAMPLE = 100
MUTATIONS = 2_000
# The largest picture that is allowed needs this much memory as RGB, and as much again to prepare it.
MEGABYTES = 2.5 * 3 * MAXIMUM_PIXELS / 1e6
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP"}
DATASET = {
    "name": "digits",
    "sha256": "",
    "class_names": ["0", "1"],
    "image_shape": [28, 28, 1],
}


def trials(folder: Path) -> Iterator[Trial]:
    """Bombs, special files, then mutations of every format."""
    run = folder / "run"
    run.mkdir()
    runs.write_config(run, TrainConfig(), DATASET, {})
    for name, content in _bombs().items():
        yield Trial(f"bomb {name}", partial(_refused, folder / name, content))
    for kind, make in _special().items():
        for file in (
            "picture.png",
            "data.npz",
            "cifar-10-binary.tar.gz",
            "train-images-idx3-ubyte",
        ):
            yield Trial(f"{file} is {kind}", partial(_in_folder, folder, file, make))
        yield Trial(f"explain: {kind}", partial(_explained, folder, run, make))
        yield Trial(f"--data-dir: {kind}", partial(_as_data, folder, make))
    originals = _originals()
    for number in range(MUTATIONS):
        suffix, content = originals[number % len(originals)]
        mutated = _mutated(content, random.Random(number))
        path = folder / f"picture.{suffix}"
        yield Trial(f"mutation {number} of a {suffix}", partial(_decoded, path, mutated))


def _decoded(path: Path, content: bytes) -> None:
    """A mutated picture is decoded, or refused with one line."""
    path.write_bytes(content)
    within_limits(lambda: read_picture(path), path.name, 5, MEGABYTES)
    try:
        within_limits(lambda: decode(path, 28, 1, "crop"), "", 5, MEGABYTES)
    except BadImageError as error:
        assert str(error)


def _refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    within_limits(lambda: read_picture(path), path.name, 1, 200, must_fail=True)
    within_limits(lambda: decode(path, 28, 3, "crop"), "", 1, 200, must_fail=True)


def _in_folder(folder: Path, file: str, make: Callable[[Path], None]) -> None:
    """Among good images, what is not a file is skipped or refused, at once."""
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    for name in ("cat", "dog"):
        (data / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.full((8, 8), number * 8 + (name == "dog"), np.uint8)
            Image.fromarray(pixels).save(data / name / f"{number}.png")
    make(data / "cat" / file if file.endswith("png") else data / file)
    with _programs.limit(10):
        try:
            raw, _ = read_images(data, "auto", FolderOptions())
            assert len(raw.train.labels) + len(raw.test.labels) == 60
        except (ValueError, OSError) as error:
            assert file in str(error), error


def _explained(folder: Path, run: Path, make: Callable[[Path], None]) -> None:
    path = folder / "special.png"
    _programs.remove(path)
    make(path)
    result = _programs.call(explain, run, path)
    assert result.code == 2
    _programs.check(result, path.name)


def _as_data(folder: Path, make: Callable[[Path], None]) -> None:
    path = folder / "special"
    _programs.remove(path)
    make(path)
    result = _programs.call(train, "--data-dir", path, "--logdir", folder / "logs")
    assert result.code == 2
    _programs.check(result, path.name)


def _special() -> dict[str, Callable[[Path], None]]:
    """Makes each kind of path that is not a regular file."""
    return {
        "a named pipe": os.mkfifo,
        "a socket": _socket,
        "a circular link": lambda path: path.symlink_to(path),
        "a link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
        "a link to a device": lambda path: path.symlink_to("/dev/zero"),
        "a link to a terminal": lambda path: path.symlink_to("/dev/tty"),
        "a folder": Path.mkdir,
    }


def _socket(path: Path) -> None:
    """A path of a socket may have only about a hundred characters, so it is made by a short name."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def _originals() -> list[tuple[str, bytes]]:
    """A photo and a drawing in each format, with and without transparency and compression."""
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8))
    drawing = Image.fromarray(np.kron(np.eye(4, dtype=np.uint8) * 255, np.ones((8, 8), np.uint8)))
    made = []
    for suffix, format in FORMATS.items():
        for image, options in (
            (photo, {}),
            (drawing, {}),
            (photo.convert("P"), {}),
            (photo, {"lossless": True, "progressive": True, "optimize": True}),
            (photo.convert("RGBA"), {}),
        ):
            if format == "JPEG":
                image = image.convert("RGB")
            content = io.BytesIO()
            image.save(content, format, **options)
            made.append((suffix, content.getvalue()))
    return made


def _mutated(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        place = rng.randrange(len(changed) or 1)
        if rng.random() < 0.4:  # The start has the header.
            place = rng.randrange(min(len(changed), 60) or 1)
        kind = rng.randrange(5)
        if kind == 0 and changed:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place : place + 2] = rng.choice(
                (b"\xff\xff", b"\0\0", b"\x7f\xff", b"\xff\xd8")
            )
        elif kind == 2:
            del changed[place : place + rng.choice((1, 8, 200))]
        elif kind == 3:
            changed[place:place] = rng.randbytes(rng.choice((1, 8, 200)))
        else:
            del changed[place:]
    return bytes(changed)


def _bombs() -> dict[str, bytes]:
    """Pictures whose headers promise more pixels than the limit, some with all these pixels."""
    side = 30_000
    zeros = zlib.compress(bytes((side + 1) * 2_000)) * 15
    return {
        "header.png": _png(2**31 - 1, 2**31 - 1, b""),
        "square.png": _png(65_535, 65_535, b""),
        "whole.png": _png(side, side, zeros),
        "line.png": _png(MAXIMUM_PIXELS + 1, 1, b""),
        "header.jpg": _jpeg(65_500, 65_500),
        "line.jpg": _jpeg(65_535, 1_400),
        "lossless.webp": _webp(16_384, 16_384),
        "canvas.webp": _canvas(2**24, 2**24 - 1),
        "header.bmp": _bmp(2**31 - 1, 2**31 - 1),
        "negative.bmp": _bmp(60_000, -60_000),
        "packed.bmp": _bmp(60_000, 60_000, compression=1),
        "a.gif.png": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(10),
        "a.tiff.png": b"II*\0" + struct.pack("<I", 8) + bytes(100),
        "empty.png": b"",
        "zeros.png": bytes(1_000),
        "text.jpg": b"<svg onload=alert(1)>",
        "a.pdf.png": b"%PDF-1.7",
        "a.psd.bmp": b"8BPS" + bytes(100),
    }


def _png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _jpeg(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "JPEG")
    made = bytearray(content.getvalue())
    place = made.index(b"\xff\xc0") + 5
    made[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(made)


def _webp(width: int, height: int) -> bytes:
    size = (width - 1) | (height - 1) << 14
    body = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", size) + bytes(5)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _canvas(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _bmp(width: int, height: int, compression: int = 0) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, 0, 0, 0, 256, 0)
    palette = bytes(1024)
    start = 14 + len(info) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + 100, 0, 0, start) + info + palette + bytes(100)
