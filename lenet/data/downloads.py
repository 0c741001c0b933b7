"""Downloads data sets from several mirrors into a cache folder, and checks every file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

MIRRORS: dict[str, tuple[str, ...]] = {
    "mnist": (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    "fashion_mnist": (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    # The authors' own server, and the copy that the models of Swift for TensorFlow used.
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
}
SHA256: dict[str, dict[str, str]] = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    # From url_checksums/cifar10.txt of tensorflow/datasets. The authors publish only the MD5,
    # c32a1d4ab5d03f1284b67883e8d87530.
    "cifar10": {
        "cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    },
}
CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0


def cache_folder() -> Path:
    """The folder for downloads: $LENET_CACHE, or ~/.cache/lenet."""
    return Path(os.environ.get("LENET_CACHE") or Path.home() / ".cache" / "lenet")


def fetch(
    name: str,
    folder: Path,
    mirrors: tuple[str, ...] | None = None,
    sha256: dict[str, str] | None = None,
    timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
) -> None:
    """Downloads the files of a data set that are not in a folder yet.

    pooch writes each file under a temporary name in the same folder, checks it, and renames it,
    so that no file is ever incomplete. Files that are already there, gzip or raw, are not
    checked, because a user may have compressed them differently.

    Args:
        name: a key of MIRRORS.
        mirrors: base addresses to try in order; default: MIRRORS[name].
        sha256: file name → expected hash; default: SHA256[name].
        timeout: seconds to wait for a connection, and for the next bytes.

    Raises:
        ConnectionError: no mirror sent the right file; the message explains why for each mirror.
        OSError: the folder cannot be written.
    """
    expected = SHA256[name] if sha256 is None else sha256
    missing = [
        file
        for file in expected
        if not (folder / file).is_file() and not (folder / file.removesuffix(".gz")).is_file()
    ]
    remaining = list(MIRRORS[name] if mirrors is None else mirrors)
    for file in missing:
        failures: list[str] = []
        while remaining:
            problem = _fetch_file(remaining[0] + file, folder, file, expected[file], timeout)
            if not problem:
                break
            # A mirror that failed once is not tried again. Without a network there is then only
            # one time-out per mirror, not one per file.
            failures.append(f"{remaining.pop(0)}: {problem}")
        else:
            raise ConnectionError(f"no mirror sent {file}: " + "; ".join(failures))


def _fetch_file(
    url: str, folder: Path, file: str, sha256: str, timeout: tuple[float, float]
) -> str:
    """Downloads one file from one mirror. Returns "" or the reason for a failure."""
    import pooch
    import requests

    progress: Any = _ProgressBar(file)
    downloader: Any = pooch.HTTPDownloader(timeout=timeout, progressbar=progress, chunk_size=2**16)
    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(url, f"sha256:{sha256}", file, folder, downloader=downloader)
    except requests.exceptions.Timeout:
        return "no answer in time"
    except requests.exceptions.ChunkedEncodingError:
        return "sent a truncated file"
    except requests.exceptions.ConnectionError as error:
        # requests raises this, not Timeout, if an open connection stops sending data.
        return "no answer in time" if "timed out" in str(error) else "cannot be reached"
    except requests.exceptions.RequestException as error:
        return str(error)
    except ValueError:
        return "sent a file with the wrong sha256"
    finally:
        progress.close()
    return ""


class _ProgressBar:
    """The progress bar that pooch expects, drawn by rich, and only on a terminal."""

    def __init__(self, file: str) -> None:
        from rich.console import Console
        from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        self._bar = Progress(
            *Progress.get_default_columns()[:2],
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not Console(stderr=True).is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(f"Downloading {file}", total=None)

    @property
    def total(self) -> float | None:
        return self._bar.tasks[0].total

    @total.setter
    def total(self, num_bytes: int) -> None:
        self._bar.start()
        self._bar.update(self._task, total=num_bytes or None)

    def update(self, num_bytes: int) -> None:
        self._bar.advance(self._task, num_bytes)

    def reset(self) -> None:
        self._bar.update(self._task, completed=0)

    def close(self) -> None:
        self._bar.stop()
