"""The formats of images for `--data-dir`, in the order in which they are tried.

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
        path: the file or folder given with --data-dir, or a folder of downloads.
        dataset: a value of --dataset. Only formats of this data set are tried; with "auto", all.
        options: the options for folders of image files.

    Returns:
        The images, and the reader that read them.

    Raises:
        FileNotFoundError: the path does not exist or contains no images.
        ValueError: the images are damaged, or the format cannot use the given `options`.
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
    """Raises ValueError if any option is given, because it has no effect on these images."""
    if given := options.given():
        raise ValueError(
            f"Expected {', '.join(given)} only with a folder of image files (--data-dir). "
            f"Received: {source}, whose images are used unchanged"
        )
