"""Reads one .npz file of NumPy with the arrays x_train, y_train, x_test and y_test, as in Keras."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from lenet.data.reader import FolderOptions, RawImages, RawSplit, Reader

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


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
        ValueError: the file is not an .npz file, is damaged, or lacks an array.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"Expected {path} to be an .npz file. Received: a different kind of file, or a "
            "truncated one. Get the file again."
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive)
            complete = set(ARRAYS) <= set(names)
            arrays = {name: archive[name] for name in ARRAYS} if complete else {}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise ValueError(f"Expected {path} to be a complete .npz file: {error}") from error
    if not complete:
        raise ValueError(
            f"Expected {path} to contain the arrays {', '.join(ARRAYS)}. "
            f"Received: {', '.join(names) or 'none'}. Save the images and labels under these names."
        )
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
