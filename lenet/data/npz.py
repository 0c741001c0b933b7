"""Reads one .npz file of NumPy with the arrays x_train, y_train, x_test and y_test, as in Keras."""

from __future__ import annotations

import zipfile
from pathlib import Path

from lenet import reading
from lenet.data.reader import FolderOptions, RawImages, RawSplit, Reader

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
MOST_NAMES, LONGEST_NAME = 10, 60  # In an error message.


def find_npz(path: Path) -> Path | None:
    """The .npz file that a path names, or the only one in a folder.

    Raises:
        ValueError: the folder has more than one.
    """
    if path.is_file():
        return path if path.suffix == ".npz" or zipfile.is_zipfile(path) else None
    files = sorted(path.glob("*.npz"))
    if len(files) > 1:
        raise ValueError(
            f"Expected one .npz file in {path}. Received: {', '.join(f.name for f in files)}. "
            "Give the path of one of these files with --data-dir."
        )
    return files[0] if files else None


def read_npz(path: Path, _: FolderOptions) -> RawImages:
    """Reads the four arrays, without pickle.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is not an .npz file, is damaged, or lacks an array.
    """
    names = reading.array_names(path)
    if not set(ARRAYS) <= set(names):
        listed = [reading.one_line(name[:LONGEST_NAME]) for name in names[:MOST_NAMES]]
        more = ["…"] if len(names) > MOST_NAMES else []
        raise ValueError(
            f"Expected {path} to contain the arrays {', '.join(ARRAYS)}. "
            f"Received: {', '.join(listed + more) or 'none'}. Save the images and labels under these names."
        )
    arrays = reading.read_arrays(path, ARRAYS.__contains__)
    train, test = (
        RawSplit(
            arrays[f"x_{split}"],
            arrays[f"y_{split}"],
            f"{path} (x_{split})",
            f"{path} (y_{split})",
        )
        for split in ("train", "test")
    )
    return RawImages(train, test)


READER = Reader(
    expected=f"one .npz file with the arrays {', '.join(ARRAYS)}",
    find=find_npz,
    read=read_npz,
    datasets=("mnist", "fashion_mnist"),
)
