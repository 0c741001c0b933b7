"""Folders of image files: every layout is read, every odd file handled, every bad one named."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lenet import train
from lenet.config import TrainConfig
from lenet.data.datasets import (
    Dataset,
    channel_mean,
    hold_out,
    load_dataset,
    load_dataset_for,
)
from lenet.data.folders import BadFilesError
from lenet.data.idx import IDX_FILES, read_idx, write_idx
from lenet.data.image_files import BadImageError, decode, read_header
from lenet.data.layouts import class_in_name, split_by_content, survey
from lenet.data.reader import FolderOptions
from lenet.recording import runs
from lenet.registry import Resize

SIDE = 16


def noise(seed: int, shape: tuple[int, ...] = (SIDE, SIDE, 3)) -> np.ndarray:
    """Random pixels, the same for a seed."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, content: np.ndarray | Image.Image, **options: object) -> Path:
    """Writes one image file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = content if isinstance(content, Image.Image) else Image.fromarray(content)
    image.save(path, **options)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Eight training and two test images of each of two classes."""
    folder = tmp_path / "my pets"
    seed = 0
    for part, count in (("train", 8), ("test", 2)):
        for name in ("dog", "cat"):
            for number in range(count):
                save(folder / part / name / f"{number}.png", noise(seed))
                seed += 1
    return folder


@pytest.fixture
def classes_only(tmp_path: Path) -> Path:
    """Forty images of each of two classes, without a split."""
    folder = tmp_path / "unsplit"
    for number in range(80):
        save(folder / ("cat", "dog")[number % 2] / f"{number}.png", noise(number))
    return folder


def contents(images: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in images]


class TestLayouts:
    """The ways in which images can be arranged in a folder."""

    def test_train_and_test_folders_are_taken_as_they_are(self, pets: Path) -> None:
        loaded = load_dataset("auto", pets)
        assert loaded.name == "my_pets"
        assert loaded.class_names == ("cat", "dog")
        assert (len(loaded.train), len(loaded.test)) == (16, 4)
        assert loaded.image_shape == (SIDE, SIDE, 3)
        assert loaded.note == ""
        # Ordered by name, so that classes alternate: 0.png of cat, of dog, 1.png of cat, …
        assert loaded.train.labels.tolist() == [0, 1] * 8
        np.testing.assert_array_equal(loaded.train.images[1], noise(0))
        np.testing.assert_array_equal(loaded.train.images[0], noise(8))

    def test_the_mean_is_that_of_the_training_images_alone(self, pets: Path, tiny: Dataset) -> None:
        loaded = load_dataset("auto", pets)
        expected = loaded.train.images.reshape(-1, 3).mean(0) / 255
        np.testing.assert_allclose(loaded.mean, expected, rtol=1e-12)
        assert loaded.mean == channel_mean(loaded.train.images)
        assert tiny.mean is None
        held_out = hold_out(loaded, 0.25)
        assert held_out.mean == channel_mean(held_out.train.images) != loaded.mean
        assert hold_out(tiny, 0.25).mean is None

    def test_folders_of_classes_alone_are_split(self, classes_only: Path) -> None:
        loaded = load_dataset("auto", classes_only)
        assert len(loaded.train) + len(loaded.test) == 80
        assert 4 <= len(loaded.test) <= 24
        assert not set(contents(loaded.train.images)) & set(contents(loaded.test.images))

    def test_the_class_may_be_in_the_name(self, tmp_path: Path) -> None:
        flat = tmp_path / "oxford"
        for number in range(20):
            save(flat / f"{('samoyed', 'great_pyrenees')[number % 2]}_{number}.jpg", noise(number))
        loaded = load_dataset("auto", flat, options=FolderOptions(class_from_name=True))
        assert loaded.class_names == ("great_pyrenees", "samoyed")
        assert len(loaded.train) + len(loaded.test) == 20
        with pytest.raises(ValueError, match="no folders. To read the class"):
            load_dataset("auto", flat)
        save(flat / "nobody.jpg", noise(99))
        with pytest.raises(BadFilesError, match=r"nobody\.jpg has no class in its name"):
            load_dataset("auto", flat, options=FolderOptions(class_from_name=True))

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("samoyed_12.jpg", "samoyed"),
            ("great_pyrenees_1.jpg", "great_pyrenees"),
            ("cat.4001.jpg", "cat"),
            ("red panda (3).png", "red panda"),
            ("dog7.png", "dog"),
            ("12.png", None),
            ("samoyed.png", None),
        ],
    )
    def test_the_class_in_a_name_is_the_text_before_its_number(
        self, name: str, expected: str
    ) -> None:
        assert class_in_name(Path(name)) == expected

    def test_classes_can_be_picked(self, pets: Path) -> None:
        for part in ("train", "test"):
            save(pets / part / "zebra" / "0.png", noise(77))
        picked = load_dataset("auto", pets, options=FolderOptions(classes=("zebra", "cat")))
        assert picked.class_names == ("cat", "zebra")
        assert len(picked.train) == 9
        with pytest.raises(ValueError, match="cat, dog, zebra. Received: lion"):
            load_dataset("auto", pets, options=FolderOptions(classes=("cat", "lion")))
        with pytest.raises(ValueError, match="at least two classes.*Received: cat"):
            load_dataset("auto", pets, options=FolderOptions(classes=("cat",)))

    def test_images_may_be_in_deeper_folders_and_other_files_are_ignored(self, pets: Path) -> None:
        save(pets / "train" / "cat" / "indoors" / "old" / "0.png", noise(70))
        save(pets / "val" / "cat" / "0.png", noise(71))
        (pets / "train" / "labels.csv").write_text("a,b")
        loaded = load_dataset("auto", pets)
        assert len(loaded.train) == 17
        assert "2 files are ignored: train/labels.csv, val/cat/0.png." in loaded.note

    def test_a_folder_with_a_known_name_is_not_taken_for_it(self, pets: Path) -> None:
        loaded = load_dataset("auto", pets.rename(pets.parent / "cifar10"))
        assert loaded.name == "cifar10_images"
        assert "does not contain the original cifar10" in loaded.note

    def test_idx_files_take_precedence_over_images(self, pets: Path, tiny: Dataset) -> None:
        for (part, kind), file in IDX_FILES.items():
            array = getattr(getattr(tiny, part), kind)
            write_idx(pets / file, array[..., 0] if kind == "images" else array.astype(np.uint8))
        assert load_dataset("auto", pets).sha256 == tiny.sha256

    @pytest.mark.parametrize(
        ("spoil", "expected"),
        [
            (lambda f: shutil.rmtree(f / "test"), "images in train/ but none in test/"),
            (lambda f: shutil.rmtree(f / "train"), "images in test/ but none in train/"),
            (lambda f: shutil.rmtree(f / "test" / "dog"), "without images of dog to test on"),
            (lambda f: shutil.rmtree(f / "train" / "dog"), "without images of dog to train on"),
            (lambda f: save(f / "train" / "0.png", noise(0)), "0.png, not in a class's folder"),
            (lambda f: (f / "train").rename(f / "a"), "in test/ but none in train/"),
        ],
    )
    def test_an_incomplete_layout_is_refused(
        self, pets: Path, spoil: Callable[[Path], object], expected: str
    ) -> None:
        spoil(pets)
        with pytest.raises(ValueError, match=expected) as caught:
            load_dataset("auto", pets)
        assert "Expected" in str(caught.value)

    def test_an_ambiguous_layout_lists_what_is_accepted(self, classes_only: Path) -> None:
        save(classes_only / "stray.png", noise(1))
        with pytest.raises(ValueError, match=r"both in folders \(cat, dog\).*stray\.png") as caught:
            load_dataset("auto", classes_only)
        for layout in ("train/<class>/…", "<class>/… alone", "--class-from-name"):
            assert layout in str(caught.value)
        (classes_only / "stray.png").unlink()
        with pytest.raises(ValueError, match="Leave out --class-from-name"):
            load_dataset("auto", classes_only, options=FolderOptions(class_from_name=True))

    def test_one_class_is_too_few(self, classes_only: Path) -> None:
        shutil.rmtree(classes_only / "dog")
        with pytest.raises(ValueError, match="at least two classes.*Received: cat"):
            load_dataset("auto", classes_only)

    def test_an_empty_folder_lists_every_layout(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"\.npz.*cifar-10-binary.*train/<class>/…"):
            load_dataset("auto", tmp_path)


class TestSplit:
    """The split depends on content."""

    def test_copies_stay_together_whatever_their_names_and_classes(
        self, classes_only: Path
    ) -> None:
        for path in sorted(classes_only.rglob("*.png")):
            shutil.copy(path, path.with_name(f"copy of {path.name}"))
        shutil.copy(classes_only / "cat" / "0.png", classes_only / "dog" / "zero.png")
        loaded = load_dataset("auto", classes_only)
        assert len(loaded.train) + len(loaded.test) == 161
        assert not set(contents(loaded.train.images)) & set(contents(loaded.test.images))
        assert "1 image is in more than one class." in loaded.note

    def test_names_and_other_files_do_not_change_the_split_of_an_image(
        self, classes_only: Path
    ) -> None:
        before = set(contents(load_dataset("auto", classes_only).test.images))
        for number, path in enumerate(sorted(classes_only.rglob("*.png"))):
            path.rename(path.with_name(f"other-{number}.png"))
        for number in range(80, 100):
            save(classes_only / "dog" / f"{number}.png", noise(number))
        after = load_dataset("auto", classes_only)
        assert before <= set(contents(after.test.images))
        assert before.isdisjoint(contents(after.train.images))

    def test_it_is_the_same_on_every_machine(self) -> None:
        hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(40)]
        chosen = split_by_content({sha256: {"a"} for sha256 in hashes}, 0.15)
        assert [index for index, sha256 in enumerate(hashes) if sha256 in chosen] == [9, 39]

    def test_the_share_is_the_one_asked_for(self) -> None:
        hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(4000)]
        chosen = split_by_content({sha256: {"a"} for sha256 in hashes}, 0.3)
        assert abs(len(chosen) / 4000 - 0.3) < 0.03

    @pytest.mark.parametrize("fraction", [0.001, 0.999])
    def test_every_class_has_both_kinds(self, fraction: float) -> None:
        hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(6)]
        classes = {sha256: {"ab"[index % 2]} for index, sha256 in enumerate(hashes)}
        chosen = split_by_content(classes, fraction)
        for name in "ab":
            of_class = {sha256 for sha256 in hashes if name in classes[sha256]}
            assert of_class & chosen
            assert of_class - chosen

    def test_classes_with_few_test_images_are_named(self, tmp_path: Path) -> None:
        for number in range(46):
            save(tmp_path / ("dog" if number < 6 else "cat") / f"{number}.png", noise(number))
        options = FolderOptions(test_fraction=0.5)
        loaded = load_dataset("auto", tmp_path, options=options)
        count = loaded.test.labels.tolist().count(1)
        assert count < 5 <= len(loaded.test) - count
        assert f"few test images: dog {count}. To have more" in loaded.note
        assert "larger --test-fraction" in loaded.note

    def test_a_fraction_is_refused_if_there_is_a_test_folder(self, pets: Path) -> None:
        with pytest.raises(ValueError, match="no test_fraction.*has a test/ folder"):
            load_dataset("auto", pets, options=FolderOptions(test_fraction=0.2))

    def test_test_images_that_are_also_training_images_are_reported(self, pets: Path) -> None:
        shutil.copy(pets / "train" / "cat" / "3.png", pets / "test" / "cat" / "new.png")
        note = load_dataset("auto", pets).note
        assert "1 test image is also among the training images." in note


class TestWhatIsLoaded:
    """Size, colours and what was cut away are said, because a user cannot see them."""

    @pytest.mark.parametrize(
        ("sizes", "resize", "shape", "origin", "cut"),
        [
            ([(16, 16)], "crop", "16×16", "", False),
            ([(200, 200)], "crop", "64×64", "scaled from 200×200", False),
            ([(60, 80)], "crop", "64×64", "cropped from 60×80", True),
            ([(60, 80)], "squash", "64×64", "squashed from 60×80", False),
            ([(100, 90), (70, 80)], "crop", "64×64", "cropped from 70×80 to 100×90", False),
        ],
    )
    def test_is_in_the_words_of_the_data_set(
        self,
        tmp_path: Path,
        sizes: list[tuple[int, int]],
        resize: Resize,
        shape: str,
        origin: str,
        cut: bool,
    ) -> None:
        for number in range(8):
            width, height = sizes[number // 2 % len(sizes)]
            name = tmp_path / "ab"[number % 2] / f"{number}.png"
            save(name, noise(number, (height, width, 3)))
        options = FolderOptions(resize=resize, test_fraction=0.5)
        loaded = load_dataset("auto", tmp_path, options=options)
        numbers = f"{len(loaded.train)} training and {len(loaded.test)} test images"
        parts = [numbers, shape, "colour", origin, "2 classes"]
        assert loaded.in_words == ", ".join(filter(None, parts))
        assert ("--resize crop cuts away 25 % of the average photo" in loaded.note) is cut
        assert ("use --resize squash" in loaded.note) is cut


class TestDecoding:
    """How one image file is decoded."""

    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".JPEG"])
    def test_every_accepted_kind_is_read(self, tmp_path: Path, suffix: str) -> None:
        exact = {} if suffix == ".JPEG" else {"lossless": True}
        flat = np.full((SIDE, SIDE, 3), (200, 30, 90), np.uint8)
        path = save(tmp_path / f"a{suffix}", flat, **exact)
        decoded = decode(path, SIDE, 3, "crop").astype(int)
        assert np.abs(decoded - flat).max() <= (3 if suffix == ".JPEG" else 0)

    def test_an_image_of_the_right_size_keeps_its_bytes(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.png", noise(0))
        for way in ("crop", "squash"):
            np.testing.assert_array_equal(decode(path, SIDE, 3, way), noise(0))

    @pytest.mark.parametrize("wide", [True, False])
    def test_crop_takes_the_middle_and_squash_takes_all(self, tmp_path: Path, wide: bool) -> None:
        # A white square in the middle, black bars of half its width on both sides.
        picture = np.zeros((40, 80, 3), np.uint8)
        picture[:, 20:60] = 255
        path = save(tmp_path / "a.png", picture if wide else picture.transpose(1, 0, 2))
        # Pixels beyond the cut still have a small effect, because scaling comes first.
        assert decode(path, 8, 3, "crop")[2:6, 2:6].min() == 255
        assert decode(path, 8, 3, "crop").min() > 200
        squashed = decode(path, 8, 3, "squash")[..., 0]
        squashed = squashed if wide else squashed.T
        assert (squashed[:, 0].max(), squashed[:, 7].max(), squashed[:, 3:5].min()) == (0, 0, 255)

    def test_16_bits_of_gray_are_scaled_not_cut(self, tmp_path: Path) -> None:
        values = np.linspace(0, 65_535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
        path = save(tmp_path / "deep.png", Image.fromarray(values))
        assert read_header(path).gray
        expected = np.round(values / 257).astype(np.uint8)
        np.testing.assert_array_equal(decode(path, SIDE, 1, "crop")[..., 0], expected)

    def test_transparent_parts_are_white(self, tmp_path: Path) -> None:
        rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
        rgba[:, 8:] = (255, 0, 0, 255)
        rgba[0, :8, 3] = 128
        decoded = decode(save(tmp_path / "a.png", rgba), SIDE, 3, "crop")
        assert (decoded[1:, :8] == 255).all()
        assert (decoded[:, 8:] == (255, 0, 0)).all()
        assert (np.abs(decoded[0, :8].astype(int) - 127) <= 1).all()

    def test_a_palette_with_alpha_is_colour_on_white(self, tmp_path: Path) -> None:
        indices = np.zeros((SIDE, SIDE), np.uint8)
        indices[:, 8:] = 1
        image = Image.fromarray(indices).convert("P")
        image.putpalette([0, 0, 0, 10, 200, 30])
        path = save(tmp_path / "palette.png", image, transparency=bytes([0, 255]))
        decoded = decode(path, SIDE, 3, "crop")
        assert (decoded[:, :8] == 255).all()
        assert (decoded[:, 8:] == (10, 200, 30)).all()
        assert not read_header(path).gray

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
    def test_images_without_colour_are_gray(self, tmp_path: Path, mode: str) -> None:
        gray = Image.fromarray(np.where(noise(3, (SIDE, SIDE)) > 127, 255, 0).astype(np.uint8))
        image = gray.convert(mode)
        if mode == "P":
            image.putpalette([value for value in range(256) for _ in range(3)])
        path = save(tmp_path / "a.png", image)
        assert read_header(path).gray
        np.testing.assert_array_equal(decode(path, SIDE, 1, "crop")[..., 0], np.asarray(gray))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_photos_are_turned_upright(self, tmp_path: Path, orientation: int) -> None:
        upright = np.zeros((24, 16, 3), np.uint8)
        upright[:12, :8] = (250, 0, 0)
        upright[12:, 8:] = (0, 0, 250)
        turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # What undoes it, as Pillow counts.
        stored = Image.fromarray(upright)
        if orientation > 1:
            stored = stored.transpose(turn[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = save(tmp_path / "turned.png", stored, exif=exif)
        expected = decode(save(tmp_path / "upright.png", upright), SIDE, 3, "crop")
        np.testing.assert_array_equal(decode(path, SIDE, 3, "crop"), expected)

    def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same(self, tmp_path: Path) -> None:
        ramp = np.linspace(0, 255, 512).astype(np.uint8)
        picture = np.stack([*np.meshgrid(ramp, ramp), np.full((512, 512), 99, np.uint8)], axis=-1)
        jpeg = decode(save(tmp_path / "a.jpg", picture, quality=95), 32, 3, "crop").astype(int)
        png = decode(save(tmp_path / "a.png", picture), 32, 3, "crop").astype(int)
        assert np.abs(jpeg - png).max() <= 4

    def test_gray_folders_have_one_channel_and_a_coloured_image_makes_three(
        self, tmp_path: Path
    ) -> None:
        folder = tmp_path / "gray"
        for number in range(12):
            save(folder / "ab"[number % 2] / f"{number}.png", noise(number, (SIDE, SIDE)))
        assert load_dataset("auto", folder).image_shape == (SIDE, SIDE, 1)
        save(folder / "a" / "colour.png", noise(99))
        assert load_dataset("auto", folder).image_shape == (SIDE, SIDE, 3)

    def test_the_size_is_that_of_the_files_only_if_it_is_small_and_the_same(
        self, pets: Path
    ) -> None:
        assert load_dataset("auto", pets, options=FolderOptions(image_size=20)).image_shape[0] == 20
        save(pets / "train" / "cat" / "wide.png", noise(0, (SIDE, SIDE + 1, 3)))
        assert load_dataset("auto", pets).image_shape == (64, 64, 3)


def spoiled_jpeg(path: Path) -> None:
    save(path, noise(0, (200, 200, 3)))
    path.write_bytes(path.read_bytes()[:4000])


def animated_gif(path: Path) -> None:
    frames = [Image.fromarray(noise(number)) for number in range(3)]
    save(path, frames[0], save_all=True, append_images=frames[1:])


def gif_called_png(path: Path) -> None:
    animated_gif(path.with_suffix(".gif"))
    path.with_suffix(".gif").rename(path)


def bomb(path: Path, side: int = 10_000) -> None:
    """A PNG whose header claims another size."""
    save(path, noise(0))
    content = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", side, side) + content[24:29]
    checked = header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(content[:12] + checked + content[33:])


def greater_bomb(path: Path) -> None:
    bomb(path, 100_000)


def cut_png(path: Path) -> None:
    save(path, noise(0))
    path.write_bytes(path.read_bytes()[:-300])


def circle_of_links(path: Path) -> None:
    path.symlink_to(path.name)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated.jpg": (spoiled_jpeg, "damaged: .*truncated"),
    "truncated.png": (cut_png, "damaged"),
    "text.png": (lambda path: path.write_text("not an image"), "is not a PNG, JPEG, WebP or BMP"),
    "animated.gif": (animated_gif, "is a GIF, not PNG, JPEG, WebP or BMP"),
    "gif.png": (gif_called_png, "is a GIF, not PNG, JPEG, WebP or BMP"),
    "zero bytes.jpg": (lambda path: path.touch(), "is empty"),
    "bomb.png": (bomb, "more than 89,478,485 pixels"),
    "greater bomb.png": (greater_bomb, "more than 89,478,485 pixels"),
    "nowhere.png": (lambda path: path.symlink_to("missing.png"), "No such file"),
    "circle.png": (circle_of_links, "symbolic links"),
}


class TestBadFiles:
    """Every file that cannot be decoded is named, and can be skipped."""

    @pytest.mark.parametrize("name", BAD)
    def test_a_bad_file_says_what_is_wrong(self, pets: Path, name: str) -> None:
        make, expected = BAD[name]
        make(pets / "train" / "cat" / name)
        with pytest.raises(
            BadFilesError, match=f"1 file in .*train/cat/{name} .*{expected}"
        ) as caught:
            load_dataset("auto", pets)
        assert "--skip-bad-files" in str(caught.value)

    def test_all_are_named_at_once_and_skipped_on_request(self, pets: Path) -> None:
        for name, (make, _) in BAD.items():
            make(pets / "train" / "cat" / name)
        with pytest.raises(BadFilesError) as caught:
            load_dataset("auto", pets)
        assert {path.name for path in caught.value.problems} == set(BAD)
        assert all(name in str(caught.value) for name in BAD)
        loaded = load_dataset("auto", pets, options=FolderOptions(skip_bad_files=True))
        assert len(loaded.train) == 16
        assert "10 bad files are skipped: " in loaded.note
        assert loaded.train.images.shape == (16, 64, 64, 3)

    def test_of_many_bad_files_ten_are_named_and_the_rest_counted(self, pets: Path) -> None:
        for number in range(25):
            (pets / "train" / "cat" / f"bad{number:02}.png").touch()
        with pytest.raises(
            BadFilesError, match=r"25 files.*bad09\.png is empty; and 15 more\."
        ) as got:
            load_dataset("auto", pets)
        assert "bad10" not in str(got.value)
        assert len(got.value.problems) == 25

    def test_if_all_are_bad_nothing_is_left_to_train_on(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "0.png").touch()
        with pytest.raises(BadFilesError, match="2 files"):
            load_dataset("auto", tmp_path)
        with pytest.raises(ValueError, match="without images of a, b to train on"):
            load_dataset("auto", tmp_path, options=FolderOptions(skip_bad_files=True))

    def test_the_command_line_says_so_in_one_line(
        self, pets: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name, (make, _) in BAD.items():
            make(pets / "train" / "cat" / name)
        with pytest.raises(SystemExit) as caught:
            train.main(["--data-dir", str(pets)])
        assert caught.value.code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("Error: Expected images that can be decoded.")
        assert printed.err.count("\n") == 1
        assert all(name in printed.err for name in BAD)


class TestOddFiles:
    """What a folder may contain besides images, and images with odd names."""

    def test_names_may_contain_any_character(self, pets: Path) -> None:
        for part in ("train", "test"):
            save(pets / part / "Straße & Café" / "ein Bild – 画像.png", noise(5))
        loaded = load_dataset("auto", pets)
        assert loaded.class_names == ("Straße & Café", "cat", "dog")
        (pets / "train" / "cat" / "0.png").rename(pets / "train" / "cat" / os.fsdecode(b"\xff.png"))
        assert load_dataset("auto", pets).sha256 != loaded.sha256  # In another order now.

    def test_links_and_hidden_files_are_not_followed(self, pets: Path, tmp_path: Path) -> None:
        before = load_dataset("auto", pets)
        outside = save(tmp_path / "outside" / "0.png", noise(50))
        cats = pets / "train" / "cat"
        (cats / "loop").symlink_to(pets)
        (cats / "other folder").symlink_to(outside.parent)
        (cats / "other.png").symlink_to(outside)
        save(cats / ".hidden.png", noise(51))
        save(cats / ".thumbnails" / "0.png", noise(52))
        os.mkfifo(cats / "pipe.png")
        after = load_dataset("auto", pets)
        assert after.sha256 == before.sha256
        assert "3 links are not followed" in after.note
        assert "1 file is ignored: train/cat/pipe.png" in after.note

    def test_a_link_within_the_folder_is_followed(self, pets: Path) -> None:
        (pets / "train" / "cat" / "again.png").symlink_to("0.png")
        assert len(load_dataset("auto", pets).train) == 17

    def test_the_folder_itself_may_be_a_link(self, pets: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(pets)
        assert load_dataset("auto", tmp_path / "link").sha256 == load_dataset("auto", pets).sha256

    def test_a_folder_with_only_links_out_of_it_says_why_it_is_empty(
        self, pets: Path, tmp_path: Path
    ) -> None:
        links = tmp_path / "links"
        links.mkdir()
        for part in ("train", "test"):
            (links / part).symlink_to(pets / part)
        with pytest.raises(FileNotFoundError, match="2 links are not followed"):
            load_dataset("auto", links)

    def test_a_missing_file_is_a_bad_one(self, tmp_path: Path) -> None:
        with pytest.raises(BadImageError, match="No such file"):
            decode(tmp_path / "gone.png", SIDE, 3, "crop")

    def test_numbers_in_names_are_sorted_by_value(self, tmp_path: Path) -> None:
        for name in ("10.png", "9.png", "a2b.png", "a10b.png", "²3.png"):
            save(tmp_path / name, noise(0))
        names = [path.name for path in survey(tmp_path).images]
        assert names.index("9.png") < names.index("10.png")
        assert names.index("a2b.png") < names.index("a10b.png")


def write_pngs(folder: Path, arrays: dict[tuple[str, str], np.ndarray]) -> Path:
    """The same images as PNG files, numbered, in a folder per label."""
    for part in ("train", "test"):
        pairs = zip(arrays[part, "images"], arrays[part, "labels"], strict=True)
        for number, (image, label) in enumerate(pairs):
            save(folder / part / str(label) / f"{number}.png", image)
    return folder


def assert_exact(loaded: Dataset, arrays: dict[tuple[str, str], np.ndarray]) -> None:
    for part, split in (("train", loaded.train), ("test", loaded.test)):
        np.testing.assert_array_equal(split.images[..., 0], arrays[part, "images"])
        np.testing.assert_array_equal(split.labels, arrays[part, "labels"])


class TestSameAsIdx:
    """A folder of PNGs has exactly the arrays of the IDX files it was made from."""

    def test_any_images(self, tmp_path: Path, tiny: Dataset) -> None:
        arrays = {(part, kind): getattr(getattr(tiny, part), kind) for part, kind in IDX_FILES}
        arrays |= {key: a[..., 0] for key, a in arrays.items() if key[1] == "images"}
        (tmp_path / "idx").mkdir()
        for key, file in IDX_FILES.items():
            write_idx(tmp_path / "idx" / file, arrays[key].astype(np.uint8))
        loaded = load_dataset("auto", write_pngs(tmp_path / "png", arrays))
        assert_exact(loaded, arrays)
        assert loaded.sha256 == load_dataset("auto", tmp_path / "idx").sha256
        assert loaded.class_names == ("0", "1", "2")

    def test_mnist(self, tmp_path: Path, mnist_folder: Path) -> None:
        arrays = {
            key: read_idx(mnist_folder / f"{file}.gz")[:100] for key, file in IDX_FILES.items()
        }
        loaded = load_dataset("auto", write_pngs(tmp_path / "some_mnist", arrays))
        assert loaded.image_shape == (28, 28, 1)
        assert loaded.class_names == tuple("0123456789")
        assert_exact(loaded, arrays)


class TestMemoryAndTime:
    """Images that do not fit into memory are refused before decoding, and decoding is fast."""

    def test_what_does_not_fit_is_refused_with_the_figure_and_the_remedy(self, pets: Path) -> None:
        with pytest.raises(
            ValueError, match="20 images of 200000x200000x3, which need 2,400.0 GB"
        ) as got:
            load_dataset("auto", pets, options=FolderOptions(image_size=200_000))
        fitting = int(str(got.value).split("--image-size ")[1].split()[0])
        assert 100 < fitting < 200_000

    def test_500_photographs_take_no_more_than_ten_seconds_of_two_processors(
        self, root: Path
    ) -> None:
        photographs = root.parent / "shared" / "cats_dogs"
        if not photographs.is_dir():
            pytest.skip("needs the photos in ../shared/cats_dogs, next to the repository")
        started = time.process_time()
        loaded = load_dataset("auto", photographs, options=FolderOptions(image_size=224))
        # Of the processors' time: what else the machine does must not fail a test.
        assert time.process_time() - started < 10
        assert loaded.train.images.shape == (400, 224, 224, 3)
        assert loaded.class_names == ("cat", "dog")


class TestRuns:
    """A run remembers how its images were made."""

    def test_options_without_effect_are_refused(self, mnist_folder: Path) -> None:
        for name, path in (("digits", None), ("auto", mnist_folder)):
            with pytest.raises(ValueError, match="Expected image_size, resize only with a folder"):
                load_dataset(name, path, options=FolderOptions(image_size=9, resize="squash"))

    def test_a_run_reloads_the_very_same_images(self, classes_only: Path, tmp_path: Path) -> None:
        options = {
            "data_dir": classes_only,
            "image_size": 12,
            "resize": "squash",
            "classes": ("dog", "cat"),
            "test_fraction": 0.3,
            "skip_bad_files": True,
        }
        (classes_only / "cat" / "bad.png").touch()
        dataset = load_dataset_for(TrainConfig(**options))
        assert dataset.image_shape == (12, 12, 3)
        runs.write_config(tmp_path, TrainConfig(**options), dataset.description, {})
        saved, _ = runs.read_config(tmp_path)
        assert saved.classes == ("dog", "cat")
        assert load_dataset_for(saved).sha256 == dataset.sha256
        moved = classes_only.rename(tmp_path / "elsewhere")
        assert load_dataset_for(saved, moved).sha256 == dataset.sha256

    @pytest.mark.parametrize(
        ("option", "value", "expected"),
        [
            ("image_size", 0, "a whole number of at least 1"),
            ("resize", "stretch", "one of crop, squash"),
            ("test_fraction", 0.0, "a number between 0 and 1"),
            ("test_fraction", 1.0, "a number between 0 and 1"),
        ],
    )
    def test_a_bad_value_is_refused(self, option: str, value: object, expected: str) -> None:
        with pytest.raises(ValueError, match=f"Expected {option} to be {expected}"):
            TrainConfig(**{option: value})

    @pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(FolderOptions)])
    def test_an_option_that_changes_the_images_may_not_change_on_resume(self, name: str) -> None:
        other = {"image_size": 9, "resize": "squash", "classes": ("a", "b"), "test_fraction": 0.5}
        changed = TrainConfig(**{name: other.get(name, True)})
        with pytest.raises(ValueError, match=f"cannot continue with different options: {name}"):
            runs.check_resumable(TrainConfig(), changed)
