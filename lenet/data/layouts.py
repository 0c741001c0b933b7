"""Which files of a folder are pictures, of which class, and which of them are to test on."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lenet.data.pictures import KINDS, OTHER_SUFFIXES, SUFFIXES

LAYOUTS = (
    f"{KINDS} pictures as train/<class>/… and test/<class>/…, or as <class>/… alone, or, with "
    "--class-from-name, in one folder with names like samoyed_12.jpg"
)
PARTS = ("train", "test")
NUMBERED = re.compile(r"(?P<name>.*[^\d\s_.()-])[\s_.-]*\(?\d+\)?")


@dataclass(frozen=True)
class PictureFile:
    """One picture's place in a data set.

    Attributes:
        path: absolute.
        part: "train" or "test", or "" where the split is still to be made.
        class_name: "" where its name was to tell the class and does not.
    """

    path: Path
    part: str
    class_name: str


@dataclass(frozen=True)
class Survey:
    """The files below a folder, as paths relative to it.

    Attributes:
        pictures: by their names, in the order of these, numbers by their value.
        others: files that are no pictures by their names.
        links: how many lead out of the folder, or to a folder; nothing behind them is counted.
    """

    pictures: list[Path]
    others: list[Path]
    links: int


def survey(folder: Path) -> Survey:
    """Walks a folder, through no link to a folder, so that no circle of links is endless.

    Args:
        folder: itself no link.

    Raises:
        OSError: a folder cannot be read.
    """
    pictures, others, links = [], [], 0
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += sum(Path(place, name).is_symlink() for name in folders)
        for name in names:
            path = Path(place, name)
            if name.startswith("."):
                continue
            if path.is_symlink() and not _target(path).is_relative_to(folder):
                links += 1
                continue
            kind = path.suffix.lower()
            # A link to nowhere is a bad picture; a pipe or a device is none.
            regular = path.is_file() or not path.exists()
            is_picture = regular and (kind in SUFFIXES or kind in OTHER_SUFFIXES)
            (pictures if is_picture else others).append(path.relative_to(folder))
    pictures.sort(key=lambda path: (_natural(path.name), path.parts))
    return Survey(pictures, sorted(others), links)


def classify(
    folder: Path, pictures: Sequence[Path], from_name: bool
) -> tuple[list[PictureFile], list[Path]]:
    """Tells by one of the layouts which part and class each picture belongs to.

    Args:
        pictures: relative to `folder`.
        from_name: whether the class stands in a file's name.

    Returns:
        The pictures, and those that have no place in the layout, such as a val/ folder's.

    Raises:
        ValueError: the layout is none of `LAYOUTS`, or more than one.
    """
    tops = sorted({path.parts[0] for path in pictures if len(path.parts) > 1})
    loose = [path for path in pictures if len(path.parts) == 1]
    halves = {name.casefold() for name in tops} & set(PARTS)
    problem = _layout_problem(tops, loose, halves, from_name)
    if problem:
        raise ValueError(f"Expected {LAYOUTS}. {shown(folder)} {problem}")
    files, ignored = [], []
    for path in pictures:
        half = path.parts[0].casefold() if halves else ""
        if halves and (half not in halves or len(path.parts) == 1):
            ignored.append(path)
            continue
        inner = path.relative_to(path.parts[0]) if halves else path
        if from_name != (len(inner.parts) == 1):
            where = "a folder of its own" if from_name else "no class's folder"
            raise ValueError(f"Expected {LAYOUTS}. {shown(folder / path)} lies in {where}.")
        name = (class_in_name(inner) or "") if from_name else inner.parts[0]
        files.append(PictureFile(folder / path, half, unicodedata.normalize("NFC", name)))
    return files, ignored


def _layout_problem(
    tops: Sequence[str], loose: Sequence[Path], halves: set[str], from_name: bool
) -> str:
    """What is wrong with where pictures lie, or ""."""
    named = ", ".join(map(shown, tops[:3])) + (", …" if len(tops) > 3 else "")
    if len(halves) == 1:
        (half,) = halves
        lacking = "train" if half == "test" else "test"
        return f"has pictures in {half}/ but none in {lacking}/."
    if halves:
        return ""
    if loose and tops:
        return f"has pictures both in folders ({named}) and beside them ({shown(loose[0])})."
    if loose and not from_name:
        return "has pictures but no folders: --class-from-name reads the class from their names."
    if tops and from_name:
        return f"has folders ({named}): leave out --class-from-name."
    return ""


def class_in_name(path: Path) -> str | None:
    """What stands before the number in a file's name: samoyed for samoyed_12.jpg, else None."""
    match = NUMBERED.fullmatch(path.stem)
    return match["name"] if match else None


def split_by_content(classes_of: dict[str, set[str]], fraction: float) -> set[str]:
    """Chooses test pictures by their content alone.

    Args:
        classes_of: sha256 in hexadecimal → the classes that hold a file of that content.
        fraction: the share of contents to test on, from 0 to 1, on average.

    Returns:
        The sha256 of the test pictures: those below `fraction` of the range of a sha256. Where
        that leaves a class of two or more without any, or nothing but, its lowest or highest
        crosses over.
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
        elif len(members) > 1 and in_test.issuperset(members):
            in_test.discard(members[-1])
    return in_test


def shown(path: Path | str) -> str:
    """A path as it can be printed, whatever bytes its name is made of."""
    return str(path).encode(errors="replace").decode()


def _target(link: Path) -> Path:
    """Where a link leads; of a circle of links, the link itself."""
    try:
        return link.resolve()
    except (OSError, RuntimeError):
        return link


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts 2.png before 10.png."""
    words = re.split(r"([0-9]+)", name)
    return [(int(word), "") if word.isdecimal() else (0, word) for word in words]


def _refuse(error: OSError) -> None:
    raise error
