"""Damaged and hostile files: one clear error, at once, and no memory for what a file only claims."""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenet import reading
from lenet.data.idx import read_idx
from lenet.reading import UnusableFileError


def npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """An array in NumPy's format, with any header."""
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def header(shape: str = "(4,)", descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def save(path: Path, content: bytes, change: Callable[[bytearray], None] | None = None) -> Path:
    """One entry `a` in a zip file, whose bytes are then changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.npy", content)
    changed = bytearray(packed.getvalue())
    if change is not None:
        change(changed)
    path.write_bytes(changed)
    return path


class TestArrays:
    """npz files."""

    def test_arrays_come_back_as_numpy_wrote_them(self, tmp_path: Path) -> None:
        arrays: dict[str, Any] = {
            "conv1/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
            "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
            "big": np.arange(3, dtype=">i2"),
            "number": np.float32(7),
            "none": np.zeros((0, 28, 28), np.uint8),
            "names": np.array(["cat", "dög"]),
            "long": np.arange(20_000, dtype=np.int64),
        }
        np.savez(tmp_path / "plain.npz", **arrays)
        np.savez_compressed(tmp_path / "packed.npz", **arrays)
        for name in ("plain.npz", "packed.npz"):
            read = reading.read_arrays(tmp_path / name)
            assert reading.array_names(tmp_path / name) == list(read) == list(arrays)
            for key, array in arrays.items():
                np.testing.assert_array_equal(read[key], array)
                assert (read[key].dtype, read[key].shape) == (array.dtype, array.shape)
        some = reading.read_arrays(tmp_path / "packed.npz", lambda name: name == "big")
        assert list(some) == ["big"]

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (npy(header(), bytes(12)), "a has 12 bytes, not 16"),
            (npy(header(), bytes(20)), "a has 20 bytes, not 16"),
            (npy(header("(10**18,)")), "not an array in NumPy's format"),
            (npy(header(f"({10**18},)")), f"not {4 * 10**18:,}"),
            (npy(header(f"({10**30},)")), f"not {4 * 10**30:,}"),
            (npy(header(f"(0, {10**30})")), "a.npz is not a complete .npz file"),
            (npy(header("(-2, -2)"), bytes(16)), "a.npz is not a complete .npz file"),
            (npy(header("(" * 3_000)), "not an array in NumPy's format"),
            (npy("{'descr': '<f4"), "not an array in NumPy's format"),
            (npy(header() + " " * 20_000), "not an array in NumPy's format"),
            (npy(header(), bytes(16), version=2), ""),
            (npy(header(), bytes(16), version=9), "not an array in NumPy's format"),
            (npy(header(descr="'|O'"), bytes(32)), "a contains object, not numbers"),
            (npy(header(descr="[('x', '<f4')]"), bytes(16)), "not numbers"),
            (npy(header(descr="'<U0'")), "not numbers"),
            (b"pickle", "not an array in NumPy's format"),
            (b"", "not an array in NumPy's format"),
        ],
    )
    def test_a_damaged_array_is_named(self, tmp_path: Path, content: bytes, expected: str) -> None:
        path = save(tmp_path / "a.npz", content)
        if not expected:
            assert reading.read_arrays(path)["a"].tolist() == [0, 0, 0, 0]
            return
        with pytest.raises(UnusableFileError) as error:
            reading.read_arrays(path)
        assert str(path) in str(error.value)
        assert expected in str(error.value)

    @pytest.mark.parametrize(
        ("place", "values", "expected"),
        [
            (8, b"\x01", "a is encrypted"),
            (10, b"\x0c", "a is compressed by a method that NumPy does not use"),
            (6, b"\xff", "zip file version 25.5"),
            (24, b"\xff\xff\xff\x7f", "times as many bytes as the file has"),
            (16, b"\1\2\3\4", "Bad CRC-32"),
        ],
    )
    def test_a_damaged_directory_is_named(
        self, tmp_path: Path, place: int, values: bytes, expected: str
    ) -> None:
        def change(content: bytearray) -> None:
            start = content.index(b"PK\x01\x02") + place
            content[start : start + len(values)] = values

        path = save(tmp_path / "a.npz", npy(header(), bytes(16)), change)
        with pytest.raises(UnusableFileError, match=r"a\.npz") as error:
            reading.read_arrays(path)
        assert expected in str(error.value)


class TestSizes:
    """No memory is taken for what a file only claims."""

    def test_a_header_that_promises_more_than_can_be_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "labels.gz"
        path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 2**31) + bytes(1000)))
        with pytest.raises(UnusableFileError, match=r"labels\.gz.*2,147,483,648 bytes"):
            read_idx(path)

    def test_little_data_may_compress_well(self, tmp_path: Path) -> None:
        path = tmp_path / "labels.gz"
        path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 10**7) + bytes(10**7)))
        assert path.stat().st_size < 10**7 / reading.MAXIMUM_RATIO
        assert len(read_idx(path)) == 10**7

    def test_data_beyond_the_free_memory_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "images"
        with path.open("wb") as file:
            file.write(struct.pack(">HBBI", 0, 8, 1, 10**8))
            file.truncate(10**8 + 8)
        monkeypatch.setattr(reading, "free_memory", lambda: 150_000_000)
        with pytest.raises(UnusableFileError, match="fit into memory. Received: 0.1 GB"):
            read_idx(path)


class TestJson:
    """config.json, status.json, manifests, grid.json."""

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"", "it is empty"),
            (b"\xff\xfe\xfd", "is damaged"),
            (b'{"a": 1', "is damaged"),
            (b"[" * 100_000, "nested too deeply"),
            (b'{"a":' * 100_000, "nested too deeply"),
            (b'{"a": ' + b"9" * 5_000 + b"}", "is damaged"),
            (b'{"a": "\\ud800"}', "is damaged"),
            (b"[]", "no JSON object"),
            (b"null", "no JSON object"),
        ],
    )
    def test_anything_but_an_object_is_refused(
        self, tmp_path: Path, content: bytes, expected: str
    ) -> None:
        path = tmp_path / "status.json"
        path.write_bytes(content)
        with pytest.raises(UnusableFileError, match=f"status.json.*{expected}"):
            reading.read_json(path)

    def test_an_object_is_read(self, tmp_path: Path) -> None:
        values = {"a": [1, None, "ü"], "b": {"c": 0.5}}
        (tmp_path / "a.json").write_text(json.dumps(values, ensure_ascii=False))
        assert reading.read_json(tmp_path / "a.json") == values


@pytest.fixture
def special(tmp_path: Path) -> dict[str, Path]:
    """A path of each kind that is not a regular file."""
    paths = {kind: tmp_path / kind for kind in ("pipe", "socket", "folder", "loop")}
    os.mkfifo(paths["pipe"])
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(paths["socket"]))
    paths["folder"].mkdir()
    paths["loop"].symlink_to(paths["loop"])
    return {**paths, "device": Path("/dev/zero")}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("read", [reading.read_json, reading.read_arrays, read_idx])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("pipe", "a named pipe"),
        ("socket", "a socket"),
        ("folder", "a folder"),
        ("device", "a device"),
        ("loop", "symbolic links"),
    ],
)
def test_what_is_not_a_file_is_refused_at_once(
    special: dict[str, Path], read: Callable[[Path], Any], kind: str, expected: str
) -> None:
    with pytest.raises((UnusableFileError, OSError), match=expected):
        read(special[kind])
