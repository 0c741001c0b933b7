"""Folders of pictures: every file checked, decoded once, in parallel, into arrays of bytes."""

from __future__ import annotations

import math
import os
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np

from lenet.data.layouts import LAYOUTS, PictureFile, classify, shown, split_by_content, survey
from lenet.data.pictures import (
    KINDS,
    OTHER_SUFFIXES,
    BadPicture,
    Header,
    decode,
    read_header,
)
from lenet.registry import FOLDER_IMAGE_SIZE, FOLDER_TEST_FRACTION, Resize

NAMED = 10  # How many files a message names.
Result = TypeVar("Result")


@dataclass(frozen=True)
class FolderOptions:
    """How a folder of pictures becomes images; `TrainConfig` has the same, by the same names.

    Attributes:
        image_size: the images' side in pixels; None: 64, or the pictures' own where all are
            squares of one size up to that.
        resize: "crop" scales the shorter side and takes the middle; "squash" scales both.
        classes: the classes to take; None: all.
        class_from_name: whether the class is what stands before the number in a file's name.
        test_fraction: the share of pictures to test on, where the folder has no test/ of its
            own; None: 0.15.
        skip_bad_files: whether to go on without files that cannot be decoded.
    """

    image_size: int | None = None
    resize: Resize = "crop"
    classes: tuple[str, ...] | None = None
    class_from_name: bool = False
    test_fraction: float | None = None
    skip_bad_files: bool = False

    def given(self) -> tuple[str, ...]:
        """The names of the options that differ from their defaults."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != f.default)


@dataclass(frozen=True)
class Pictures:
    """The images of a folder.

    Attributes:
        train_images, test_images: uint8 [n, size, size, channels]; 1 channel where every
            picture is gray, else 3. In the order of the files' names, numbers by their value.
        train_labels, test_labels: int32 [n], places in `class_names`.
        class_names: sorted.
        note: what the user should know: what was passed over, and what is odd; or "".
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    note: str


class BadFiles(ValueError):
    """Files that cannot be decoded.

    Attributes:
        problems: what is wrong, by path.
    """

    def __init__(self, folder: Path, problems: dict[Path, str]) -> None:
        self.problems = problems
        count = "1 file" if len(problems) == 1 else f"{len(problems):,} files"
        super().__init__(
            f"Expected pictures that can be decoded. Received: {count} in {shown(folder)} that "
            f"cannot: {_listed(folder, problems)}. Mend or remove what is named, or go on without "
            "it by --skip-bad-files."
        )


def read_folder(folder: Path, options: FolderOptions | None = None) -> Pictures:
    """Decodes a folder of pictures, laid out in one of the ways of `LAYOUTS`.

    Hidden files, and links that lead out of the folder or to a folder, are not followed.
    Without a test/ folder the split goes by each file's content: copies of a file always land
    on the same side, on every machine, whatever their names.

    Raises:
        FileNotFoundError: there are no pictures.
        BadFiles: files cannot be decoded, all of which it names, and are not to be skipped.
        ValueError: the layout is ambiguous, a class is missing or without images, or the images
            do not fit into memory.
    """
    options = options or FolderOptions()
    folder = folder.resolve()
    found = survey(folder)
    notes = []
    if found.links:
        what = f"{_count(found.links, 'link')} not followed, for leading"
        notes.append(f"{what} out of {shown(folder)}, or to a folder.")
    if not found.pictures:
        raise FileNotFoundError(
            f"Found no images in {shown(folder)}. Expected {LAYOUTS}. {' '.join(notes)}".rstrip()
        )
    files, ignored = classify(folder, found.pictures, options.class_from_name)
    passed_over = [shown(path) for path in found.others + ignored]
    if passed_over:
        named = ", ".join(passed_over[:3]) + (", …" if len(passed_over) > 3 else "")
        notes.append(f"{_count(len(passed_over), 'file')} passed over: {named}.")
    files, class_names = _choose_classes(folder, files, options.classes)
    with warnings.catch_warnings():
        # Odd EXIF data and the like: what matters is whether the pixels can be decoded.
        warnings.simplefilter("ignore")
        headers, problems = _read_headers(files)
        files = [file for file in files if file.path in headers]
        size, channels = _shape(headers.values(), options.image_size)
        check_memory(len(files), size, channels)
        images = _decode(files, size, channels, options.resize, problems)
    if problems and not options.skip_bad_files:
        raise BadFiles(folder, problems)
    if problems:
        bad = _listed(folder, problems)
        notes.append(f"{_count(len(problems), 'bad file')} skipped: {bad}.")
        good = [place for place, file in enumerate(files) if file.path not in problems]
        files, images = [files[place] for place in good], images[good]
    in_test = _in_test(folder, files, headers, options.test_fraction, notes)
    labels = np.array([class_names.index(file.class_name) for file in files], np.int32)
    _check_parts(folder, labels, in_test, class_names)
    return Pictures(
        images[~in_test],
        labels[~in_test],
        images[in_test],
        labels[in_test],
        class_names,
        " ".join(notes),
    )


def check_memory(count: int, size: int, channels: int) -> None:
    """Refuses images that would not fit into memory.

    Raises:
        ValueError: with what they take, what there is, and a size that fits.
    """
    needed, available = count * size**2 * channels, _available_bytes()
    if 2 * needed > available:
        fitting = math.isqrt(available // (2 * count * channels))
        raise ValueError(
            f"{count:,} images of {size}x{size}x{channels} take {needed / 1e9:,.1f} GB, and as much "
            f"again for TensorFlow's own copy, but {available / 1e9:,.1f} GB of memory are free: "
            f"choose --image-size {fitting} or less, or fewer --classes."
        )


def _choose_classes(
    folder: Path, files: list[PictureFile], wanted: tuple[str, ...] | None
) -> tuple[list[PictureFile], tuple[str, ...]]:
    there = {file.class_name for file in files} - {""}
    if wanted is not None:
        wanted = tuple(unicodedata.normalize("NFC", name) for name in wanted)
        unknown = [name for name in wanted if name not in there]
        if unknown:
            raise ValueError(
                f"Expected classes to be some of those of {shown(folder)}: "
                f"{', '.join(sorted(there))}. Received: {', '.join(unknown)}"
            )
        files = [file for file in files if file.class_name in wanted]
    class_names = tuple(sorted(there if wanted is None else set(wanted)))
    if len(class_names) < 2:
        raise ValueError(
            f"Expected at least two classes in {shown(folder)}, of {LAYOUTS}. "
            f"Received: {', '.join(class_names) or 'none'}"
        )
    return files, class_names


def _read_headers(files: list[PictureFile]) -> tuple[dict[Path, Header], dict[Path, str]]:
    """The headers of the pictures that have one, and what is wrong with the others."""
    headers: dict[Path, Header] = {}
    problems: dict[Path, str] = {}

    def check(file: PictureFile) -> Header:
        kind = file.path.suffix.lower()
        if not file.class_name:
            raise BadPicture("has no class in its name, as samoyed_12.jpg has")
        if kind in OTHER_SUFFIXES:
            raise BadPicture(f"is a {kind[1:].upper()}, not {KINDS}")
        return read_header(file.path)

    for file, result in _each(check, files, "Looking at pictures"):
        if isinstance(result, BadPicture):
            problems[file.path] = str(result)
        else:
            headers[file.path] = result
    return headers, problems


def _shape(headers: Iterable[Header], image_size: int | None) -> tuple[int, int]:
    """The images' side and channels."""
    headers = list(headers)
    channels = 1 if all(header.gray for header in headers) else 3
    sides = {side for header in headers for side in (header.width, header.height)}
    own = sides.pop() if len(sides) == 1 else FOLDER_IMAGE_SIZE
    return image_size or min(own, FOLDER_IMAGE_SIZE), channels


def _decode(
    files: list[PictureFile], size: int, channels: int, resize: Resize, problems: dict[Path, str]
) -> np.ndarray:
    """The images of all files, uint8 [n, size, size, channels]; adds to `problems`."""
    images = np.empty((len(files), size, size, channels), np.uint8)
    places = {file.path: place for place, file in enumerate(files)}

    def fill(file: PictureFile) -> None:
        images[places[file.path]] = decode(file.path, size, channels, resize)

    for file, result in _each(fill, files, "Decoding pictures"):
        if isinstance(result, BadPicture):
            problems[file.path] = str(result)
    return images


def _in_test(
    folder: Path,
    files: list[PictureFile],
    headers: dict[Path, Header],
    test_fraction: float | None,
    notes: list[str],
) -> np.ndarray:
    """Which pictures to test on, bool [n]; says in `notes` where one is in both parts or classes."""
    contents = [headers[file.path].sha256 for file in files]
    classes_of: dict[str, set[str]] = defaultdict(set)
    for sha256, file in zip(contents, files, strict=True):
        classes_of[sha256].add(file.class_name)
    twice = sum(len(classes) > 1 for classes in classes_of.values())
    if twice:
        notes.append(f"{_count(twice, 'picture')} in more than one class.")
    if not any(file.part for file in files):
        fraction = FOLDER_TEST_FRACTION if test_fraction is None else test_fraction
        chosen = split_by_content(classes_of, fraction)
        return np.array([sha256 in chosen for sha256 in contents], bool)
    if test_fraction is not None:
        raise ValueError(
            f"Expected no test_fraction, as {shown(folder)} has a test/ folder of its own. "
            f"Received: test_fraction={test_fraction}"
        )
    in_test = np.array([file.part == "test" for file in files], bool)
    trained_on = {sha256 for sha256, test in zip(contents, in_test, strict=True) if not test}
    leaked = sum(sha256 in trained_on for sha256, t in zip(contents, in_test, strict=True) if t)
    if leaked:
        notes.append(f"{_count(leaked, 'test picture')} also among the training pictures.")
    return in_test


def _check_parts(
    folder: Path, labels: np.ndarray, in_test: np.ndarray, class_names: tuple[str, ...]
) -> None:
    for part, chosen in (("train on", ~in_test), ("test on", in_test)):
        present = set(labels[chosen].tolist())
        missing = [name for label, name in enumerate(class_names) if label not in present]
        if missing:
            raise ValueError(
                f"Expected pictures of every class to train on and to test on. {shown(folder)} has "
                f"none of {', '.join(missing)} to {part}."
            )


def _each(
    work: Callable[[PictureFile], Result], files: Sequence[PictureFile], title: str
) -> Iterator[tuple[PictureFile, Result | BadPicture]]:
    """Does the same to many pictures, in parallel, with a progress bar on a terminal.

    Threads suffice: Pillow decodes and scales without holding Python's lock.
    """
    from rich.console import Console
    from rich.progress import Progress

    def attempt(file: PictureFile) -> Result | BadPicture:
        try:
            return work(file)
        except BadPicture as error:
            return error

    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with bar:
            results = bar.track(pool.map(attempt, files), total=len(files), description=title)
            yield from zip(files, results, strict=True)
    finally:
        # Nothing is left to do unless an interrupt came, which then need not wait for the rest.
        pool.shutdown(cancel_futures=True)


def _available_bytes() -> int:
    """Memory that can be had without swapping, within what a container may use."""
    import psutil

    available = psutil.virtual_memory().available
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (words := limit.read_text().strip()).isdecimal():
        available = min(available, int(words))
    return available


def _listed(folder: Path, problems: dict[Path, str]) -> str:
    """The first few bad files, each with what is wrong, and how many more there are."""
    ordered = sorted(problems)
    named = [f"{shown(path.relative_to(folder))} {problems[path]}" for path in ordered[:NAMED]]
    more = [f"and {len(ordered) - NAMED:,} more"] if len(ordered) > NAMED else []
    return "; ".join([*named, *more])


def _count(number: int, what: str) -> str:
    """A number of things that are: "1 file is", "2 files are"."""
    return f"1 {what} is" if number == 1 else f"{number:,} {what}s are"
