"""Every source of images becomes the same kind of Dataset; every bad one is refused by name."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lenet.data import downloads, formats
from lenet.data.datasets import Dataset, Split, fingerprint, load_dataset
from lenet.data.idx import IDX_FILES, write_idx
from lenet.data.reader import FolderOptions, RawImages, RawSplit, Reader

Arrays = dict[tuple[str, str], np.ndarray]


def arrays_of(dataset: Dataset) -> Arrays:
    """The four arrays of a data set, as IDX and npz files contain them."""
    return {
        ("train", "images"): dataset.train.images[..., 0],
        ("train", "labels"): dataset.train.labels.astype(np.uint8),
        ("test", "images"): dataset.test.images[..., 0],
        ("test", "labels"): dataset.test.labels.astype(np.uint8),
    }


def write_folder(folder: Path, arrays: Arrays, suffixes: tuple[str, ...] = ("",)) -> Path:
    """Writes the four IDX files, with each suffix in turn."""
    folder.mkdir()
    for index, (key, array) in enumerate(arrays.items()):
        write_idx(folder / (IDX_FILES[key] + suffixes[index % len(suffixes)]), array)
    return folder


def assert_same(loaded: Dataset, expected: Dataset) -> None:
    """Compares every image and label of two data sets."""
    for actual, wanted in ((loaded.train, expected.train), (loaded.test, expected.test)):
        assert actual.images.dtype == np.uint8
        assert actual.labels.dtype == np.int32
        np.testing.assert_array_equal(actual.images, wanted.images)
        np.testing.assert_array_equal(actual.labels, wanted.labels)
    assert loaded.sha256 == expected.sha256


class TestBundledDigits:
    """The digits that come with scikit-learn."""

    def test_every_class_has_exactly_100_test_images(self) -> None:
        digits = load_dataset("digits")
        assert (len(digits.train), len(digits.test)) == (797, 1000)
        assert np.bincount(digits.test.labels).tolist() == [100] * 10
        assert digits.class_names == tuple("0123456789")
        assert (digits.name, digits.note) == ("digits", "")

    def test_images_are_28x28_bytes_over_the_whole_range(self) -> None:
        digits = load_dataset("digits")
        assert digits.image_shape == (28, 28, 1)
        for split in (digits.train, digits.test):
            assert split.images.dtype == np.uint8
            assert split.labels.dtype == np.int32
            assert (split.images.min(), split.images.max()) == (0, 255)

    def test_no_image_is_in_both_splits(self) -> None:
        digits = load_dataset("digits")
        train, test = ({i.tobytes() for i in s.images} for s in (digits.train, digits.test))
        assert len(train | test) == 1797

    def test_they_are_always_the_same(self) -> None:
        assert_same(load_dataset("digits"), load_dataset("digits"))

    def test_a_data_dir_is_refused_with_them(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="Expected no data_dir with dataset='digits'"):
            load_dataset("digits", tmp_path)


class TestFiles:
    """Folders of IDX files, and npz files."""

    @pytest.mark.parametrize("suffixes", [("",), (".gz",), ("", ".gz")], ids=["raw", "gz", "mixed"])
    def test_a_folder_of_idx_files_is_read(
        self, tmp_path: Path, tiny: Dataset, suffixes: tuple[str, ...]
    ) -> None:
        folder = write_folder(tmp_path / "my own images", arrays_of(tiny), suffixes)
        loaded = load_dataset("auto", folder)
        assert_same(loaded, tiny)
        assert loaded.name == "my_own_images"
        assert loaded.class_names == ("0", "1", "2")
        assert loaded.note == ""

    def test_an_npz_file_is_read_alone_or_in_a_folder(
        self, tmp_path: Path, tiny: Dataset, save_npz: Callable[[Path, Dataset], Path]
    ) -> None:
        file = save_npz(tmp_path / "stripes.npz", tiny)
        assert_same(load_dataset("auto", file), tiny)
        assert load_dataset("auto", file).name == "stripes"
        assert_same(load_dataset("auto", str(tmp_path)), tiny)

    def test_colour_images_keep_their_channels(
        self,
        tmp_path: Path,
        make_dataset: Callable[..., Dataset],
        save_npz: Callable[[Path, Dataset], Path],
    ) -> None:
        colour = make_dataset(channels=3)
        loaded = load_dataset("auto", save_npz(tmp_path / "colour.npz", colour))
        assert loaded.image_shape == (12, 12, 3)
        assert_same(loaded, colour)

    def test_real_mnist_is_known_by_its_content(self, mnist_folder: Path) -> None:
        for name in ("auto", "mnist"):
            mnist = load_dataset(name, mnist_folder)
            assert mnist.name == "mnist"
            assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
            assert mnist.image_shape == (28, 28, 1)
            assert mnist.class_names == tuple("0123456789")

    def test_real_mnist_is_not_taken_for_fashion(self, mnist_folder: Path) -> None:
        with pytest.raises(ValueError, match="contains MNIST"):
            load_dataset("fashion_mnist", mnist_folder)


def labels_outside(arrays: Arrays) -> None:
    arrays["test", "labels"][7] = 3


def labels_skip_a_class(arrays: Arrays) -> None:
    arrays["train", "labels"][arrays["train", "labels"] == 1] = 5


def counts_differ(arrays: Arrays) -> None:
    arrays["train", "labels"] = arrays["train", "labels"][:-1]


def empty(arrays: Arrays) -> None:
    for kind in ("images", "labels"):
        arrays["train", kind] = arrays["train", kind][:0]


def empty_test(arrays: Arrays) -> None:
    for kind in ("images", "labels"):
        arrays["test", kind] = arrays["test", kind][:0]


def sizes_differ(arrays: Arrays) -> None:
    arrays["test", "images"] = arrays["test", "images"][:, :-1]


def one_class(arrays: Arrays) -> None:
    for split in ("train", "test"):
        arrays[split, "labels"][:] = 0


def images_of_floats(arrays: Arrays) -> None:
    arrays["train", "images"] = arrays["train", "images"].astype(np.float32)


def flat_images(arrays: Arrays) -> None:
    arrays["train", "images"] = arrays["train", "images"].reshape(70, -1)


def labels_of_floats(arrays: Arrays) -> None:
    arrays["test", "labels"] = arrays["test", "labels"].astype(np.float32)


def labels_of_pairs(arrays: Arrays) -> None:
    arrays["test", "labels"] = np.stack([arrays["test", "labels"]] * 2, axis=1)


def negative_label(arrays: Arrays) -> None:
    arrays["train", "labels"] = arrays["train", "labels"].astype(np.int32)
    arrays["train", "labels"][3] = -1


BAD = {
    labels_outside: "test labels from 0 to 2.*3 classes.*label 3",
    labels_skip_a_class: "training labels from 0 to 2.*label 5",
    negative_label: "labels of at least 0.*label -1",
    counts_differ: "as many images as labels.*70 images.*69 labels",
    empty: "at least one image in .*train.*none",
    empty_test: "at least one image in .*(t10k|test).*none",
    sizes_differ: r"images of one size.*\[12, 12, 1\] and \[11, 12, 1\]",
    one_class: "at least two classes.*1",
    images_of_floats: r"uint8 images.*float32 \[70, 12, 12\]",
    flat_images: r"uint8 images.*uint8 \[70, 144\]",
    labels_of_floats: r"whole numbers.*float32 \[30\]",
    labels_of_pairs: r"whole numbers.*uint8 \[30, 2\]",
}


@pytest.mark.parametrize("container", ["idx", "npz"])
@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_unsound_images_and_labels_are_refused(
    tmp_path: Path, tiny: Dataset, spoil: Callable[[Arrays], None], container: str
) -> None:
    arrays = arrays_of(tiny)
    spoil(arrays)
    if container == "idx":
        path = write_folder(tmp_path / "images", arrays)
    else:
        path = tmp_path / "images.npz"
        keys = {"images": "x", "labels": "y"}
        np.savez(path, **{f"{keys[kind]}_{split}": a for (split, kind), a in arrays.items()})
    with pytest.raises(ValueError, match=BAD[spoil]):
        load_dataset("auto", path)


@pytest.mark.parametrize("label", [2**32 + 1, -(2**32), 2**31])
def test_labels_too_large_to_keep_are_not_wrapped_round(
    tmp_path: Path, tiny: Dataset, label: int
) -> None:
    labels = tiny.train.labels.astype(np.int64)
    labels[0] = label
    path = tmp_path / "wide.npz"
    test = {"x_test": tiny.test.images, "y_test": tiny.test.labels}
    np.savez(path, x_train=tiny.train.images, y_train=labels, **test)
    with pytest.raises(ValueError, match=f"label {label}"):
        load_dataset("auto", path)


class TestBadPaths:
    """Files that are missing, not what their name says, or truncated."""

    def test_a_path_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no file or folder .*nowhere.*--data-dir"):
            load_dataset("auto", tmp_path / "nowhere")

    def test_a_folder_without_images_says_what_belongs_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte.*\.npz"):
            load_dataset("auto", tmp_path)

    @pytest.mark.parametrize("key", IDX_FILES)
    def test_the_one_missing_file_is_named(
        self, tmp_path: Path, tiny: Dataset, key: tuple[str, str]
    ) -> None:
        folder = write_folder(tmp_path / "images", arrays_of(tiny))
        (folder / IDX_FILES[key]).unlink()
        with pytest.raises(FileNotFoundError, match=f"lacks {IDX_FILES[key]}"):
            load_dataset("auto", folder)

    def test_a_truncated_gzip_in_a_folder_is_named(self, tmp_path: Path, tiny: Dataset) -> None:
        folder = write_folder(tmp_path / "images", arrays_of(tiny), (".gz",))
        file = folder / "train-images-idx3-ubyte.gz"
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz to be a complete gzip"):
            load_dataset("auto", folder)

    def test_of_several_npz_files_one_must_be_named(
        self, tmp_path: Path, tiny: Dataset, save_npz: Callable[[Path, Dataset], Path]
    ) -> None:
        for name in ("a.npz", "b.npz"):
            save_npz(tmp_path / name, tiny)
        with pytest.raises(ValueError, match=r"one \.npz file.*a\.npz, b\.npz.*--data-dir"):
            load_dataset("auto", tmp_path)
        assert load_dataset("auto", tmp_path / "b.npz").sha256 == tiny.sha256

    def test_one_of_the_idx_files_in_place_of_their_folder(
        self, tmp_path: Path, tiny: Dataset
    ) -> None:
        folder = write_folder(tmp_path / "images", arrays_of(tiny))
        with pytest.raises(ValueError, match="one of them. Use --data-dir .*images$"):
            load_dataset("auto", folder / "t10k-labels-idx1-ubyte")

    def test_a_file_of_no_known_format_says_what_is_expected(self, tmp_path: Path) -> None:
        (tmp_path / "images.txt").write_text("0 255 0")
        with pytest.raises(ValueError, match=r"Found no images in .*images\.txt.*\.npz file"):
            load_dataset("auto", tmp_path / "images.txt")

    def test_an_npz_without_the_four_arrays_lists_the_ones_it_has(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "images.npz", x_train=np.zeros(3), y_train=np.zeros(3))
        with pytest.raises(
            ValueError,
            match=r"images\.npz.*x_train, y_train, x_test, y_test. Received: x_train, y_train\.",
        ):
            load_dataset("auto", tmp_path)

    @pytest.mark.parametrize("content", ["cut", "flipped", "text", "npy", "pickled"])
    def test_a_file_that_is_not_a_complete_npz_is_named(
        self,
        tmp_path: Path,
        tiny: Dataset,
        save_npz: Callable[[Path, Dataset], Path],
        content: str,
    ) -> None:
        file = save_npz(tmp_path / "images.npz", tiny)
        complete = file.read_bytes()
        if content == "cut":
            file.write_bytes(complete[: len(complete) // 2])
        elif content == "flipped":
            file.write_bytes(complete[:2000] + bytes([complete[2000] ^ 1]) + complete[2001:])
        elif content == "text":
            file.write_text("x_train,y_train\n")
        elif content == "npy":
            with file.open("wb") as stream:
                np.save(stream, tiny.train.images)
        else:
            keys = ("x_train", "y_train", "x_test", "y_test")
            np.savez(file, allow_pickle=True, **dict.fromkeys(keys, np.array([{}, None])))
        with pytest.raises(ValueError, match=r"images\.npz"):
            load_dataset("auto", file)

    def test_other_images_may_not_have_the_name_of_mnist(
        self, tmp_path: Path, tiny: Dataset
    ) -> None:
        folder = write_folder(tmp_path / "mnist", arrays_of(tiny))
        with pytest.raises(ValueError, match="does not contain MNIST.*--dataset auto"):
            load_dataset("mnist", folder)

    @pytest.mark.parametrize("name", ["mnist", "digits"])
    def test_a_folder_that_only_has_a_known_name_is_not_taken_for_it(
        self, tmp_path: Path, tiny: Dataset, name: str
    ) -> None:
        loaded = load_dataset("auto", write_folder(tmp_path / name, arrays_of(tiny)))
        assert loaded.name == f"{name}_images"
        assert f"does not contain the original {name}" in loaded.note

    def test_an_unknown_name_lists_the_known_ones(self) -> None:
        with pytest.raises(ValueError, match="auto, mnist, fashion_mnist, digits.*'cifar'"):
            load_dataset("cifar")


class TestWithoutNetwork:
    """What happens where nothing can be downloaded."""

    @pytest.fixture(autouse=True)
    def no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every mirror is a port nobody listens on, and the cache is empty."""
        dead = ("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/")
        monkeypatch.setattr(downloads, "MIRRORS", dict.fromkeys(downloads.MIRRORS, dead))
        monkeypatch.setenv("LENET_CACHE", str(tmp_path / "cache"))

    def test_auto_falls_back_to_the_digits_and_says_so(self) -> None:
        loaded = load_dataset("auto")
        assert loaded.name == "digits"
        assert "not MNIST results" in loaded.note
        assert "--data-dir" in loaded.note

    @pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
    def test_a_named_set_says_where_to_put_which_files(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(FileNotFoundError) as caught:
            load_dataset(name)
        message = str(caught.value)
        for file in IDX_FILES.values():
            assert f"{file}.gz" in message
        assert str(tmp_path / "cache" / name) in message
        assert "--data-dir" in message
        assert "http://127.0.0.1:9/a/" in message
        assert "http://127.0.0.1:9/b/" in message

    def test_the_cache_is_used_before_the_network(self, tmp_path: Path, mnist_folder: Path) -> None:
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "mnist").symlink_to(mnist_folder)
        assert load_dataset("mnist").name == "mnist"
        assert load_dataset("auto").name == "mnist"

    def test_other_images_in_the_cache_are_not_taken_for_mnist(
        self, tmp_path: Path, tiny: Dataset
    ) -> None:
        (tmp_path / "cache").mkdir()
        write_folder(tmp_path / "cache" / "mnist", arrays_of(tiny))
        with pytest.raises(ValueError, match="does not contain MNIST"):
            load_dataset("mnist")


def test_a_new_format_needs_only_a_reader_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, options: FolderOptions) -> RawImages:
        pixels = np.array(path.read_text().split(), np.uint8).reshape(-1, 2, 2)
        split = RawSplit(pixels, np.arange(len(pixels)) % 2, str(path), str(path))
        return RawImages(split, split, class_names=("on", "off"), note="Made up.")

    reader = Reader("a .pixels file", lambda path: path if path.suffix == ".pixels" else None, read)
    monkeypatch.setattr(formats, "READERS", (*formats.READERS, reader))
    (tmp_path / "four.pixels").write_text("0 255 0 255 " * 4)
    loaded = load_dataset("auto", tmp_path / "four.pixels")
    assert (loaded.name, loaded.class_names, loaded.note) == ("four", ("on", "off"), "Made up.")
    assert loaded.image_shape == (2, 2, 1)
    with pytest.raises(FileNotFoundError, match=r"or a \.pixels file\.$"):
        load_dataset("auto", tmp_path)
    with pytest.raises(ValueError, match="image_size only with a folder"):
        load_dataset("auto", tmp_path / "four.pixels", options=FolderOptions(image_size=4))


def test_the_fingerprint_changes_with_every_image_and_label(tiny: Dataset) -> None:
    images, labels = tiny.train.images.copy(), tiny.train.labels.copy()
    images[-1, -1, -1, 0] ^= 1
    labels[-1] = (labels[-1] + 1) % 3
    changed = [
        fingerprint(Split(images, tiny.train.labels), tiny.test),
        fingerprint(Split(tiny.train.images, labels), tiny.test),
        fingerprint(tiny.test, tiny.train),
    ]
    assert len({tiny.sha256, *changed}) == 4


def test_gzip_and_raw_files_have_one_fingerprint(tmp_path: Path, tiny: Dataset) -> None:
    raw = write_folder(tmp_path / "raw", arrays_of(tiny))
    packed = tmp_path / "packed"
    packed.mkdir()
    for file in raw.iterdir():
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 1))
    assert load_dataset("auto", raw).sha256 == load_dataset("auto", packed).sha256
