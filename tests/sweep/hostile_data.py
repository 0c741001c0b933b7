"""Hostile IDX, gzip, npz and CIFAR-10 files: bombs, lies about sizes, and mutations."""

from __future__ import annotations

import gzip
import io
import itertools
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lenet.data.cifar import BATCHES, RECORD
from lenet.data.formats import read_images
from lenet.data.idx import IDX_FILES, write_idx
from lenet.data.reader import FolderOptions
from lenet.reading import read_arrays

from . import Trial
from ._limits import within_limits

FAULT = "An IDX, gzip, npz or CIFAR-10 file is damaged, or made to do harm"
PROMISE = (
    "One line that names the file, in less than a second and with less than 200 MB of memory. "
    "Nothing is unpickled or unpacked to the disk."
)
SAMPLE = 150
MUTATIONS = 12_500
GIB = 2**30
BOMB = 10 * GIB
ZEROS = 64 * 2**20  # Bytes, the part of a bomb that is compressed once and repeated.


def trials(folder: Path) -> Iterator[Trial]:
    """Bombs and lies, then mutations of every kind of file."""
    for name, content, file in itertools.chain(_bombs(), _lies()):
        yield Trial(name, partial(_read, folder, file, content, must_fail=True))
    originals = _originals(folder)
    for number in range(MUTATIONS):
        rng = random.Random(number)
        file, mutate = originals[number % len(originals)]
        yield Trial(f"mutation {number} of {file}", partial(_mutation, folder, file, mutate, rng))


def _read(folder: Path, file: str, content: Callable[[], bytes], must_fail: bool = False) -> None:
    """Writes a file into a folder of its own, and reads the data set."""
    path = folder / "data" / file
    path.parent.mkdir(exist_ok=True)
    try:
        path.write_bytes(content())
        source = path.parent if file.endswith("ubyte") or ".gz" in path.suffixes else path
        if file.endswith(("ubyte.gz", "ubyte")):
            _other_idx_files(path)
        options = FolderOptions()
        within_limits(lambda: read_images(source, "auto", options), path.name, must_fail=must_fail)
        if path.suffix == ".npz":  # As checkpoints and inspections are read: every array.
            within_limits(lambda: read_arrays(path), path.name)
    finally:
        for other in path.parent.iterdir():
            other.unlink()


def _mutation(
    folder: Path, file: str, mutate: Callable[[random.Random], bytes], rng: random.Random
) -> None:
    _read(folder, file, partial(mutate, rng))


def _other_idx_files(path: Path) -> None:
    for name in IDX_FILES.values():
        if not path.name.startswith(name):
            shape = (4, 3, 3) if "idx3" in name else (4,)
            write_idx(path.with_name(name), np.zeros(shape, np.uint8))


def _originals(folder: Path) -> list[tuple[str, Callable[[random.Random], bytes]]]:
    """Each kind of file with a function that mutates it. Packed files are also mutated inside."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 5, 5), dtype=np.uint8)
    labels = np.arange(6, dtype=np.uint8) % 2
    write_idx(folder / "idx", images)
    idx = (folder / "idx").read_bytes()
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, **arrays)
    np.savez_compressed(packed, **arrays)
    records = {name: bytes([i, *[7] * (RECORD - 1)]) for i, name in enumerate(BATCHES)}
    tar = _tar(records)
    name = IDX_FILES["train", "images"]
    return [
        (name, partial(_mutated, idx)),
        (f"{name}.gz", partial(_mutated, gzip.compress(idx, mtime=0))),
        (f"{name}.gz", lambda random: gzip.compress(_mutated(idx, random), mtime=0)),
        ("images.npz", partial(_mutated, plain.getvalue())),
        ("images.npz", partial(_mutated, packed.getvalue())),
        ("images.npz", partial(_mutated_entries, arrays)),
        ("images.npz", partial(_mutated_directory, plain.getvalue())),
        ("cifar-10-binary.tar.gz", partial(_mutated, gzip.compress(tar, mtime=0))),
        ("cifar-10-binary.tar.gz", lambda random: gzip.compress(_mutated_tar(tar, random), 1)),
        ("cifar-10-binary.tar", lambda random: _mutated_tar(tar, random)),
    ]


def _mutated(content: bytes, rng: random.Random) -> bytes:
    """Flips bits, inserts, removes or repeats bytes, or writes the ends of ranges."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(changed)) if changed else 0
        if rng.random() < 0.5:  # The start has the header.
            place = rng.randrange(min(len(changed), 64) or 1)
        kind = rng.randrange(6)
        if kind == 0 and changed:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place:place] = rng.randbytes(rng.choice((1, 4, 100)))
        elif kind == 2:
            del changed[place : place + rng.choice((1, 4, 100))]
        elif kind == 3:
            changed[place : place + 4] = rng.choice((b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"))
        elif kind == 4:
            del changed[place:]
        else:
            changed[place:place] = changed[place : place + rng.choice((10, 1_000))]
    return bytes(changed)


def _mutated_entries(arrays: dict[str, np.ndarray], rng: random.Random) -> bytes:
    """An .npz file with valid checksums around a mutated array."""
    packed = io.BytesIO()
    changed = rng.choice(list(arrays))
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as z:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            whole = content.getvalue()
            z.writestr(f"{name}.npy", _mutated(whole, rng) if name == changed else whole)
    return packed.getvalue()


def _mutated_directory(content: bytes, rng: random.Random) -> bytes:
    """An .npz file whose list of entries is mutated."""
    start = content.index(b"PK\x01\x02")
    return content[:start] + _mutated(content[start:], rng)


def _mutated_tar(tar: bytes, rng: random.Random) -> bytes:
    """A tar file with a mutated header, whose checksum is right again."""
    changed = bytearray(tar)
    headers = [
        start for start in range(0, len(tar), 512) if tar[start + 257 : start + 262] == b"ustar"
    ]
    start = rng.choice(headers)
    header = bytearray(_mutated(bytes(changed[start : start + 512]), rng)[:512].ljust(512, b"\0"))
    if rng.random() < 0.5:
        header[156:157] = rng.choice((b"x", b"g", b"L", b"K", b"S", b"1", b"5", b"6"))
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    changed[start : start + 512] = header
    return bytes(changed)


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _bombs() -> Iterator[tuple[str, Callable[[], bytes], str]]:
    """10 GiB of zeros in every kind of packed file, with and without a header that says so."""
    name = f"{IDX_FILES['train', 'images']}.gz"
    yield "10 GiB of zeros, gzipped", lambda: _zeros(b""), name
    honest = struct.pack(">HBBIII", 0, 8, 3, 10 * 2**10, 2**10, 2**10)
    yield "10 GiB of zeros with an IDX header that says so", lambda: _zeros(honest), name
    modest = struct.pack(">HBBIII", 0, 8, 3, 4, 3, 3)
    yield "10 GiB of zeros with an IDX header for 36 bytes", lambda: _zeros(modest), name
    tar = _tar({"padding": b""})[:512]
    cifar = "cifar-10-binary.tar.gz"
    yield "10 GiB of zeros in an archive", lambda: _zeros(_sized(tar, BOMB)), cifar
    batch = _tar({BATCHES[0]: b""})[:512]
    yield "a batch of 10 GiB", lambda: _zeros(_sized(batch, BOMB)), cifar
    pax = bytearray(batch)
    pax[156:157] = b"x"
    yield "a header of 8 GiB", lambda: _zeros(_sized(bytes(pax), 2**33 - 1)), cifar
    yield "an empty archive of 10 GiB", lambda: _zeros(b""), cifar
    yield (
        "headers that refer to headers",
        lambda: gzip.compress(_sized(bytes(pax), 0) * 5_000),
        cifar,
    )
    shape = f"({BOMB},)"
    yield "an array of 10 GiB", lambda: _npz_bomb(shape, BOMB), "images.npz"
    yield "an array of 10 GiB that says 4 bytes", lambda: _npz_bomb("(4,)", BOMB), "images.npz"
    yield "65,000 entries", lambda: _entries(65_000), "images.npz"


def _sized(header: bytes, size: int) -> bytes:
    """A tar header with a different size."""
    changed = bytearray(header)
    octal = f"{size:011o}\0".encode() if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    changed[124:136] = octal
    changed[148:156] = b" " * 8
    changed[148:156] = f"{sum(changed):06o}\0 ".encode()
    return bytes(changed)


def _zeros(start: bytes) -> bytes:
    """Some bytes and then 10 GiB of zeros, as a gzip file of about 10 MB."""
    return gzip.compress(start) + gzip.compress(bytes(ZEROS)) * (BOMB // ZEROS)


def _npz_bomb(shape: str, size: int) -> bytes:
    """An .npz file with the four arrays, the first of which has many zeros."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    start = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH)
    content = first + block * (size // ZEROS) + packer.flush()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", content if name == "x_train" else b"")
    changed = bytearray(packed.getvalue())
    for place in (0, changed.index(b"PK\x01\x02")):  # The first entry is deflated.
        method, length = (8, 22) if place == 0 else (10, 24)
        changed[place + method : place + method + 2] = struct.pack("<H", 8)
        changed[place + length : place + length + 4] = struct.pack(
            "<I", min(size, 2**32 - 1) & 0xFFFFFFFE
        )
    return bytes(changed)


def _entries(count: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.npy", b"")
    return packed.getvalue()


def _lies() -> Iterator[tuple[str, Callable[[], bytes], str]]:
    """Sizes that are not true, in IDX headers."""
    name = IDX_FILES["train", "images"]
    shapes = [(2**32 - 1,) * rank for rank in (1, 2, 3, 255)] + [(0,), (0, 2**32 - 1), (1, 2)]
    for shape, code, packed in itertools.product(shapes, (8, 9, 11, 12, 13, 14), (False, True)):
        header = struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)
        content = header + bytes(1_000)
        file, what = (f"{name}.gz", "gzipped") if packed else (name, "raw")
        made = gzip.compress(content) if packed else content
        yield f"IDX of type {code} that says {shape[:3]}, {what}", lambda made=made: made, file
