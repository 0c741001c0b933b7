"""CIFAR-10's binary batches: from the archive, from its files, by the format's own description."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lenet.data import cifar, downloads
from lenet.data.datasets import Dataset, load_dataset

PER_BATCH = 4


def batch(seed: int, count: int = PER_BATCH) -> bytes:
    """Records as the data set's page describes them: a label, then red, green and blue planes."""
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (count, 3073), dtype=np.uint8)
    records[:, 0] = (seed * count + np.arange(count)) % 10
    return records.tobytes()


BATCHES = {name: batch(seed) for seed, name in enumerate(cifar.BATCHES)}


def write_archive(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_files(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in BATCHES.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The archive under its real name, with the other files that the real one contains."""
    others = {"batches.meta.txt": b"airplane\n", "readme.html": b"<p>"}
    return write_archive(tmp_path / cifar.ARCHIVE, others | BATCHES)


def assert_as_written(loaded: Dataset) -> None:
    """Compares every pixel with the bytes, by the page's description and without the module's reshape."""
    assert (loaded.name, loaded.class_names) == ("cifar10", cifar.CLASSES)
    assert (loaded.train.images.dtype, loaded.train.labels.dtype) == (np.uint8, np.int32)
    assert (len(loaded.train), len(loaded.test)) == (5 * PER_BATCH, PER_BATCH)
    assert loaded.image_shape == (32, 32, 3)
    for split, names in ((loaded.train, cifar.TRAIN_BATCHES), (loaded.test, ["test_batch.bin"])):
        content = b"".join(BATCHES[name] for name in names)
        for number in range(len(split)):
            start = number * 3073
            assert split.labels[number] == content[start]
            for row, column, channel in ((0, 0, 0), (0, 5, 1), (7, 0, 2), (31, 31, 2), (3, 9, 0)):
                byte = start + 1 + channel * 1024 + row * 32 + column
                assert split.images[number, row, column, channel] == content[byte]


@pytest.mark.parametrize("name", ["auto", "cifar10"])
def test_the_archive_is_read_without_unpacking(archive: Path, name: str) -> None:
    before = sorted(archive.parent.rglob("*"))
    assert_as_written(load_dataset(name, archive))
    assert_as_written(load_dataset(name, archive.parent))
    assert sorted(archive.parent.rglob("*")) == before


def test_a_tar_that_is_not_packed_is_read(tmp_path: Path) -> None:
    assert_as_written(load_dataset("cifar10", write_archive(tmp_path / "c.tar", BATCHES, "w")))


def test_batches_in_any_order_give_the_same_images(tmp_path: Path, archive: Path) -> None:
    shuffled = {name: BATCHES[name] for name in reversed(cifar.BATCHES)}
    other = load_dataset("cifar10", write_archive(tmp_path / "other.tar.gz", shuffled))
    assert other.sha256 == load_dataset("cifar10", archive).sha256


@pytest.mark.parametrize("name", ["auto", "cifar10"])
def test_unpacked_batches_are_read(tmp_path: Path, name: str) -> None:
    folder = write_files(tmp_path / "data" / "cifar-10-batches-bin")
    assert_as_written(load_dataset(name, folder))
    assert_as_written(load_dataset(name, folder.parent))


def test_fewer_images_than_cifar_10_has_are_reported(archive: Path) -> None:
    note = load_dataset("cifar10", archive).note
    assert "20 training and 4 test images, not CIFAR-10's 50,000 and 10,000" in note


@pytest.mark.parametrize("name", cifar.BATCHES)
def test_a_missing_batch_is_named(tmp_path: Path, name: str) -> None:
    files = {other: content for other, content in BATCHES.items() if other != name}
    with pytest.raises(FileNotFoundError, match=f"lacks {name}"):
        load_dataset("cifar10", write_archive(tmp_path / cifar.ARCHIVE, files))


@pytest.mark.parametrize("how", ["cut", "flipped", "text", "empty", "cut inside"])
def test_a_damaged_archive_is_named(archive: Path, how: str) -> None:
    complete = archive.read_bytes()
    archive.write_bytes(
        {
            "cut": complete[: len(complete) // 2],
            "flipped": complete[:5000] + bytes([complete[5000] ^ 255]) + complete[5001:],
            "text": b"no archive",
            "empty": b"",
            "cut inside": gzip.compress(gzip.decompress(complete)[:5000]),
        }[how]
    )
    with pytest.raises(ValueError, match="cifar-10-binary.tar.gz to be a complete archive"):
        load_dataset("cifar10", archive)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BATCHES["test_batch.bin"][:-1], "records of 3,073 bytes. Received: 12,291 bytes"),
        (b"", "records of 3,073 bytes. Received: 0 bytes"),
        (bytes([10]) + bytes(3072), "labels from 0 to 9. Received: 10"),
    ],
    ids=["cut", "empty", "label"],
)
def test_a_damaged_batch_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    files = BATCHES | {"test_batch.bin": content}
    with pytest.raises(ValueError, match=rf"\(test_batch\.bin\) to contain {expected}"):
        load_dataset("cifar10", write_archive(tmp_path / cifar.ARCHIVE, files))


def test_a_batch_larger_than_any_is_not_read(tmp_path: Path) -> None:
    files = BATCHES | {"data_batch_2.bin": bytes(31_000_000)}
    with pytest.raises(ValueError, match=r"data_batch_2\.bin has 31,000,000 bytes, more than"):
        load_dataset("cifar10", write_archive(tmp_path / cifar.ARCHIVE, files))


def test_a_link_in_the_archive_is_not_a_batch(tmp_path: Path) -> None:
    files = {name: content for name, content in BATCHES.items() if name != "test_batch.bin"}
    path = write_archive(tmp_path / "a.tar", files, "w")
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    with pytest.raises(FileNotFoundError, match=r"lacks test_batch\.bin"):
        load_dataset("cifar10", path)


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py"])
def test_the_python_version_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ValueError, match="Expected the binary version.*Python version"):
            load_dataset("cifar10", path)


def test_a_folder_without_it_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"Found no images of cifar10 in .*cifar-10-binary\.tar\.gz"
    ):
        load_dataset("cifar10", tmp_path)


def test_the_cache_is_used_before_the_network(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(downloads.MIRRORS, "cifar10", ("http://127.0.0.1:9/",))
    with pytest.raises(
        FileNotFoundError, match=r"cifar10 is not on this computer.*cifar-10-binary\.tar\.gz"
    ):
        load_dataset("cifar10")
    (tmp_path / "cache" / "cifar10").mkdir(parents=True, exist_ok=True)
    archive.rename(tmp_path / "cache" / "cifar10" / cifar.ARCHIVE)
    assert_as_written(load_dataset("cifar10"))
