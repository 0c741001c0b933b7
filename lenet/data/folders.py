"""Reads folders of image files: checks every file and decodes it once into an array of bytes."""

from __future__ import annotations

import unicodedata
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

from lenet.data.decoding import common_shape, decode_all, origin_of, read_headers
from lenet.data.image_files import Header
from lenet.data.layouts import LAYOUTS, ImageFile, classify, printable, split_by_content, survey
from lenet.data.reader import FolderOptions, RawImages, RawSplit, Reader
from lenet.registry import FOLDER_TEST_FRACTION

MAXIMUM_NAMED = 10  # The maximum number of bad files that a message names.
MUCH_CUT_AWAY = 0.25  # From this share of the pixels on, a note says that photos are cropped.
FEW_TESTS = 5  # With fewer test images of a class, a note lists their numbers.
MAXIMUM_IGNORED = 3  # The maximum number of ignored files that a note names.


class BadFilesError(ValueError):
    """Files that cannot be decoded.

    Attributes:
        problems: what is wrong with each file, by path.
    """

    def __init__(self, folder: Path, problems: dict[Path, str]) -> None:
        self.problems = problems
        count = "1 file" if len(problems) == 1 else f"{len(problems):,} files"
        super().__init__(
            f"Expected images that can be decoded. Received: {count} in {printable(folder)} that "
            f"cannot: {_listed(folder, problems)}. Fix or remove these files, or skip them with "
            "--skip-bad-files."
        )


def find_images(folder: Path) -> Path | None:
    """The folder itself if it contains image files, at any depth.

    Raises:
        FileNotFoundError: it contains no images, only links that are not followed.
    """
    if not folder.is_dir():
        return None
    files = survey(folder.resolve())
    if not files.images and files.links:
        raise FileNotFoundError(
            f"Found no images in {printable(folder)}. {_links(files.links)} Give the folder that "
            "contains the files themselves with --data-dir."
        )
    return folder if files.images else None


def read_folder(folder: Path, options: FolderOptions) -> RawImages:
    """Decodes a folder of image files that has one of the `LAYOUTS`.

    Hidden files are ignored, and so are links that lead out of the folder or to a folder. Without a
    test/ folder, each file's content decides whether it is for testing. Copies of a file are
    therefore in the same split, on every machine and with any name.

    Returns:
        Images uint8 [n, size, size, channels], with 1 channel if every file is gray, else 3, in
        the order of the file names (numbers by value). The class names are sorted.

    Raises:
        BadFilesError: files cannot be decoded, and `skip_bad_files` is off.
        ValueError: the layout is ambiguous, a class is missing or has no images, or the images
            do not fit into memory.
    """
    folder = folder.resolve()
    surveyed = survey(folder)
    notes = [_links(surveyed.links)] if surveyed.links else []
    files, ignored = classify(folder, surveyed.images, options.class_from_name)
    notes += _ignored(surveyed.others + ignored)
    files, class_names = _choose_classes(folder, files, options.classes)
    with warnings.catch_warnings():
        # Warnings about EXIF data do not matter, as long as the pixels can be decoded.
        warnings.simplefilter("ignore")
        headers, problems = read_headers(files)
        files = [file for file in files if file.path in headers]
        size, channels = common_shape(headers.values(), options.image_size)
        images, undecodable = decode_all(files, size, channels, options.resize)
    problems |= undecodable
    if problems and not options.skip_bad_files:
        raise BadFilesError(folder, problems)
    if problems:
        notes.append(f"{_count(len(problems), 'bad file')} skipped: {_listed(folder, problems)}.")
        good = [index for index, file in enumerate(files) if file.path not in problems]
        files, images = [files[index] for index in good], images[good]
    in_test = _in_test(folder, files, headers, options.test_fraction, notes)
    labels = np.array([class_names.index(file.class_name) for file in files], np.int32)
    _check_splits(folder, labels, in_test, class_names)
    test_is_fraction = not any(file.split for file in files)
    if test_is_fraction:
        notes += _few_tests(labels[in_test], class_names)
    origin, cut = origin_of([headers[file.path] for file in files], size, options.resize)
    if cut >= MUCH_CUT_AWAY:
        notes.append(
            f"--resize crop cuts away {100 * cut:.0f} % of the average photo. To keep all of it, use "
            "--resize squash."
        )
    train, test = (
        RawSplit(images[chosen], labels[chosen], str(folder), str(folder))
        for chosen in (~in_test, in_test)
    )
    note = " ".join(notes)
    return RawImages(
        train,
        test,
        class_names=class_names,
        subtract_mean=True,
        note=note,
        origin=origin,
        test_is_fraction=test_is_fraction,
    )


def _choose_classes(
    folder: Path, files: list[ImageFile], wanted: tuple[str, ...] | None
) -> tuple[list[ImageFile], tuple[str, ...]]:
    """The files of the wanted classes, and the names of these classes, sorted."""
    present = {file.class_name for file in files} - {""}
    if wanted is not None:
        wanted = tuple(unicodedata.normalize("NFC", name) for name in wanted)
        unknown = [name for name in wanted if name not in present]
        if unknown:
            raise ValueError(
                f"Expected --classes to be some of the classes in {printable(folder)}: "
                f"{', '.join(sorted(present))}. Received: {', '.join(unknown)}"
            )
        files = [file for file in files if file.class_name in wanted]
    class_names = tuple(sorted(present if wanted is None else set(wanted)))
    if len(class_names) < 2:
        raise ValueError(
            f"Expected at least two classes in {printable(folder)}, with {LAYOUTS}. "
            f"Received: {', '.join(class_names) or 'none'}"
        )
    return files, class_names


def _in_test(
    folder: Path,
    files: list[ImageFile],
    headers: dict[Path, Header],
    test_fraction: float | None,
    notes: list[str],
) -> np.ndarray:
    """Which images are for testing, bool [n]. Adds notes on images in two classes or splits."""
    contents = [headers[file.path].sha256 for file in files]
    classes_of: dict[str, set[str]] = defaultdict(set)
    for sha256, file in zip(contents, files, strict=True):
        classes_of[sha256].add(file.class_name)
    in_several = sum(len(classes) > 1 for classes in classes_of.values())
    if in_several:
        notes.append(f"{_count(in_several, 'image')} in more than one class.")
    if not any(file.split for file in files):
        fraction = FOLDER_TEST_FRACTION if test_fraction is None else test_fraction
        chosen = split_by_content(classes_of, fraction)
        return np.array([sha256 in chosen for sha256 in contents], bool)
    if test_fraction is not None:
        raise ValueError(
            f"Expected no test_fraction, because {printable(folder)} has a test/ folder. "
            f"Received: test_fraction={test_fraction}"
        )
    in_test = np.array([file.split == "test" for file in files], bool)
    trained_on = {sha256 for sha256, test in zip(contents, in_test, strict=True) if not test}
    leaked = sum(sha256 in trained_on for sha256, t in zip(contents, in_test, strict=True) if t)
    if leaked:
        notes.append(f"{_count(leaked, 'test image')} also among the training images.")
    return in_test


def _check_splits(
    folder: Path, labels: np.ndarray, in_test: np.ndarray, class_names: tuple[str, ...]
) -> None:
    for purpose, chosen in (("train on", ~in_test), ("test on", in_test)):
        present = set(labels[chosen].tolist())
        missing = [name for label, name in enumerate(class_names) if label not in present]
        if missing:
            raise ValueError(
                "Expected images of every class to train on and to test on. Received: "
                f"{printable(folder)} without images of {', '.join(missing)} to {purpose}"
            )


def _few_tests(labels: np.ndarray, class_names: tuple[str, ...]) -> list[str]:
    """A note on the classes with few test images, if there are any."""
    counts = np.bincount(labels, minlength=len(class_names)).tolist()
    few = [
        f"{name} {count}"
        for name, count in zip(class_names, counts, strict=True)
        if count < FEW_TESTS
    ]
    if not few:
        return []
    more = ", …" if len(few) > MAXIMUM_NAMED else ""
    return [
        f"Some classes have few test images: {', '.join(few[:MAXIMUM_NAMED])}{more}. "
        "To have more, give a larger --test-fraction."
    ]


def _links(count: int) -> str:
    why = "it leads" if count == 1 else "they lead"
    return f"{_count(count, 'link')} not followed, because {why} out of the folder or to a folder."


def _ignored(paths: list[Path]) -> list[str]:
    """A note on files that have no role in the layout, if there are any."""
    if not paths:
        return []
    more = ", …" if len(paths) > MAXIMUM_IGNORED else ""
    listed = ", ".join(printable(path) for path in paths[:MAXIMUM_IGNORED]) + more
    return [f"{_count(len(paths), 'file')} ignored: {listed}."]


def _listed(folder: Path, problems: dict[Path, str]) -> str:
    """The first bad files, each with what is wrong, and how many more there are."""
    ordered = sorted(problems)
    listed = [
        f"{printable(path.relative_to(folder))} {problems[path]}"
        for path in ordered[:MAXIMUM_NAMED]
    ]
    rest = len(ordered) - MAXIMUM_NAMED
    return "; ".join([*listed, f"and {rest:,} more"] if rest > 0 else listed)


def _count(number: int, noun: str) -> str:
    """A number with its noun and verb: "1 file is", "2 files are"."""
    return f"1 {noun} is" if number == 1 else f"{number:,} {noun}s are"


READER = Reader(
    expected=LAYOUTS,
    find=find_images,
    read=read_folder,
    uses_options=True,
)
