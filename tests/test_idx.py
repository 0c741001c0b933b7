"""The IDX format: arrays are read back as they were written, damaged files are refused by name."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from lenet.data.idx import read_idx, write_idx

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_an_array_is_read_back_as_it_was_written(tmp_path: Path, dtype: str, suffix: str) -> None:
    information = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
    array = np.array([[information.min, 1, 2], [3, 100, information.max]], dtype)
    write_idx(tmp_path / f"array{suffix}", array)
    read = read_idx(tmp_path / f"array{suffix}")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("shape", [(), (5,), (0, 28, 28), (2, 3, 4, 2)])
def test_every_number_of_dimensions_is_read_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int), dtype=np.int16).reshape(shape)
    write_idx(tmp_path / "array", array)
    read = read_idx(tmp_path / "array")
    assert read.shape == shape
    np.testing.assert_array_equal(read, array)


def test_bytes_follow_the_published_format(tmp_path: Path) -> None:
    expected = struct.pack(">BBBBIIhhhh", 0, 0, 0x0B, 2, 2, 2, 1, -2, 300, -32768)
    write_idx(tmp_path / "array", np.array([[1, -2], [300, -32768]], np.int16))
    assert (tmp_path / "array").read_bytes() == expected


def test_gzip_is_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    write_idx(tmp_path / "images.gz", IMAGES)
    (tmp_path / "images.gz").rename(tmp_path / "images")
    np.testing.assert_array_equal(read_idx(tmp_path / "images"), IMAGES)


def test_the_same_array_gives_the_same_gzip_bytes(tmp_path: Path) -> None:
    write_idx(tmp_path / "a.gz", IMAGES)
    assert (tmp_path / "a.gz").read_bytes()[4:8] == bytes(4), "a time would differ every second"


def test_a_type_the_format_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="int64"):
        write_idx(tmp_path / "array", np.zeros(3, np.int64))


@pytest.mark.parametrize("kept", [3, 11, 20, -9, -1])
def test_a_truncated_gzip_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "images.gz"
    write_idx(path, IMAGES)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"images\.gz to be a complete gzip file"):
        read_idx(path)


def test_a_flipped_bit_in_a_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    write_idx(path, np.random.default_rng(0).integers(0, 255, (40, 28, 28), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"images\.gz to be a complete gzip file"):
        read_idx(path)


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gzip"])
@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        (struct.pack(">HBBI", 0, 8, 1, 10), bytes(9), r"10 bytes of data.*Received: 9 bytes"),
        (struct.pack(">HBBI", 0, 8, 1, 10), bytes(11), r"10 bytes of data.*Received: more"),
        (struct.pack(">HBBII", 0, 13, 2, 2, 3), bytes(6), r"24 bytes.*2 x 3.*Received: 6 bytes"),
        (struct.pack(">HBBI", 0, 8, 1, 2**32 - 1), bytes(9), r"4,294,967,295 bytes"),
        (struct.pack(">HBBH", 0, 8, 3, 2), b"", "3 dimensions.*inside its header"),
        (struct.pack(">HBB", 1, 8, 1), bytes(9), "an IDX file.*00 01 08 01"),
        (struct.pack(">HBB", 0, 7, 1), bytes(9), "an IDX file.*00 00 07 01"),
        (b"<html>", b"not found</html>", "an IDX file.*3c 68 74 6d"),
        (b"\0\0", b"", "an IDX file.*00 00"),
        (b"", b"", "an IDX file.*an empty file"),
    ],
)
def test_bytes_that_are_not_a_complete_idx_file_are_refused(
    tmp_path: Path, header: bytes, body: bytes, expected: str, packed: bool
) -> None:
    content = header + body
    (tmp_path / "labels").write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=f"labels.*{expected}"):
        read_idx(tmp_path / "labels")


def test_a_missing_file_is_reported_as_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        read_idx(tmp_path / "absent")
