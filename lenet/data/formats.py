"""The formats in which images can be given with `--data-dir`, in the order in which they are tried.

To add a format, write one module with a `Reader` and list it in `READERS`.
"""

from __future__ import annotations

from pathlib import Path

from lenet.data import cifar, folders, idx, npz
from lenet.data.reader import FolderOptions, RawImages, Reader

READERS: tuple[Reader, ...] = (
    idx.READER,
    npz.READER,
    cifar.READER,
    folders.READER,
)


def read_images(path: Path, dataset: str, options: FolderOptions) -> tuple[RawImages, Reader]:
    """Reads a file or folder in the first format that fits.

    Args:
        path: what the user named with --data-dir, or a folder of downloads.
        dataset: a value of --dataset; only formats it comes in are tried. "auto": all.
        options: for folders of images.

    Returns:
        What was read, and the reader that did it.

    Raises:
        FileNotFoundError: there is no such path, or no images are in it.
        ValueError: the images are damaged, or `options` are given that this format cannot use.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}. Correct --data-dir.")
    readers = [reader for reader in READERS if dataset == "auto" or dataset in reader.datasets]
    for reader in readers:
        source = reader.find(path)
        if source is not None:
            if not reader.uses_options:
                refuse_options(options, str(path))
            return reader.read(source, options), reader
    images = "images" if dataset == "auto" else f"images of {dataset}"
    expected = "; or ".join(reader.expected for reader in readers)
    problem = ValueError if path.is_file() else FileNotFoundError
    raise problem(f"Found no {images} in {path}. Expected {expected}.")


def refuse_options(options: FolderOptions, source: str) -> None:
    """Raises ValueError if options are given that have no effect on these images."""
    if given := options.given():
        raise ValueError(
            f"Expected {', '.join(given)} only with a folder of image files (--data-dir). "
            f"Received: {source}, whose images are used unchanged"
        )
