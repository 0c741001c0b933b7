"""Finds the image files in a folder, the class of each, and the files for testing."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lenet.data.image_files import KINDS, OTHER_SUFFIXES, SUFFIXES

LAYOUTS = (
    f"{KINDS} files as train/<class>/… and test/<class>/…, or as <class>/… alone, or, with "
    "--class-from-name, in one folder with names like samoyed_12.jpg"
)
SPLITS = ("train", "test")
NUMBERED = re.compile(r"(?P<name>.*[^\d\s_.()-])[\s_.-]*\(?\d+\)?")


@dataclass(frozen=True)
class ImageFile:
    """One image file and its role in the data set.

    Attributes:
        path: the absolute path.
        split: "train" or "test"; "" if the folder has no such subfolders.
        class_name: the class; "" if the class should be in the file's name, but is not.
    """

    path: Path
    split: str
    class_name: str


@dataclass(frozen=True)
class Survey:
    """The files in a folder and its subfolders, as paths relative to it.

    Attributes:
        images: image files, judged by their suffixes; sorted by name, numbers by value.
        others: all other files.
        links: the number of links out of the folder or to a folder. They are not followed.
    """

    images: list[Path]
    others: list[Path]
    links: int


def survey(folder: Path) -> Survey:
    """Lists the files in a folder. Links to folders are not followed, so circular links do no harm.

    Args:
        folder: the folder; it must not be a link itself.

    Raises:
        OSError: a folder cannot be read.
    """
    images, others, links = [], [], 0
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += sum(Path(parent, name).is_symlink() for name in folders)
        for name in names:
            path = Path(parent, name)
            if name.startswith("."):
                continue
            if path.is_symlink() and not _target(path).is_relative_to(folder):
                links += 1
                continue
            suffix = path.suffix.lower()
            # A broken link is a bad image file; a pipe or a device is not an image file at all.
            is_regular = path.is_file() or not path.exists()
            is_image = is_regular and (suffix in SUFFIXES or suffix in OTHER_SUFFIXES)
            (images if is_image else others).append(path.relative_to(folder))
    images.sort(key=lambda path: (_natural_key(path.name), path.parts))
    return Survey(images, sorted(others), links)


def classify(
    folder: Path, images: Sequence[Path], from_name: bool
) -> tuple[list[ImageFile], list[Path]]:
    """Finds the split and class of each image file, by one of the layouts.

    Args:
        images: paths relative to `folder`.
        from_name: whether the class is in the file's name.

    Returns:
        The image files, and the paths without a role in the layout, e.g. those in val/.

    Raises:
        ValueError: the folder has none of the `LAYOUTS`, or mixes them.
    """
    top_folders = sorted({path.parts[0] for path in images if len(path.parts) > 1})
    loose_files = [path for path in images if len(path.parts) == 1]
    splits = {name.casefold() for name in top_folders} & set(SPLITS)
    problem = _layout_problem(top_folders, loose_files, splits, from_name)
    if problem:
        raise ValueError(f"Expected {LAYOUTS}. Received: {printable(folder)}, which {problem}")
    files, ignored = [], []
    for path in images:
        split = path.parts[0].casefold() if splits else ""
        if splits and (split not in splits or len(path.parts) == 1):
            ignored.append(path)
            continue
        inner = path.relative_to(path.parts[0]) if splits else path
        if from_name != (len(inner.parts) == 1):
            where = "in a subfolder" if from_name else "not in a class's folder"
            raise ValueError(f"Expected {LAYOUTS}. Received: {printable(folder / path)}, {where}")
        name = (class_in_name(inner) or "") if from_name else inner.parts[0]
        files.append(ImageFile(folder / path, split, unicodedata.normalize("NFC", name)))
    return files, ignored


def _layout_problem(
    top_folders: Sequence[str], loose_files: Sequence[Path], splits: set[str], from_name: bool
) -> str:
    """What is wrong with the layout and what to do about it, or ""."""
    listed = ", ".join(map(printable, top_folders[:3])) + (", …" if len(top_folders) > 3 else "")
    if len(splits) == 1:
        (split,) = splits
        lacking = "train" if split == "test" else "test"
        return f"has images in {split}/ but none in {lacking}/"
    if splits:
        return ""
    if loose_files and top_folders:
        loose = printable(loose_files[0])
        return f"has images both in folders ({listed}) and outside them ({loose})"
    if loose_files and not from_name:
        return (
            "has images but no folders. To read the class from their names, use --class-from-name"
        )
    if top_folders and from_name:
        return f"has folders ({listed}). Leave out --class-from-name"
    return ""


def class_in_name(path: Path) -> str | None:
    """The text before the number in a file's name: samoyed for samoyed_12.jpg, else None."""
    match = NUMBERED.fullmatch(path.stem)
    return match["name"] if match else None


def split_by_content(classes_of: dict[str, set[str]], fraction: float) -> set[str]:
    """Chooses test images only by their content, so that names and other files do not matter.

    Args:
        classes_of: sha256 in hexadecimal → the classes that have a file with this content.
        fraction: the average share of contents for testing, from 0 to 1.

    Returns:
        The sha256 of the test images: those below `fraction` of the range of a sha256. If a class
        of two or more images then has no test image, its lowest sha256 becomes one; if a class has
        no training image, its highest sha256 becomes one.
    """
    of_class: dict[str, list[str]] = defaultdict(list)
    for sha256 in sorted(classes_of):
        for name in classes_of[sha256]:
            of_class[name].append(sha256)
    in_test = {sha256 for sha256 in classes_of if int(sha256, 16) < fraction * 2**256}
    for name in sorted(of_class):
        members = of_class[name]
        if len(members) > 1 and in_test.isdisjoint(members):
            in_test.add(members[0])
        elif in_test.issuperset(members):
            in_test.discard(members[-1])
    return in_test


def printable(path: Path | str) -> str:
    """A path in characters that can be printed, even if its name is not valid text."""
    return str(path).encode(errors="replace").decode()


def _target(link: Path) -> Path:
    """The target of a link, or the link itself if it is circular."""
    try:
        return link.resolve()
    except (OSError, RuntimeError):
        return link


def _natural_key(name: str) -> list[tuple[int, str]]:
    """A key that sorts 2.png before 10.png."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _raise(error: OSError) -> None:
    raise error
