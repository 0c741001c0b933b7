"""Writes each file completely or not at all: first under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PREFIX = ".writing-"  # Temporary names begin with this. No program reads such files.
ERROR = "error.txt"  # The details of an unexpected error, in the folder of a run.


def write(path: Path, content: bytes | str, durable: bool = False) -> None:
    """Writes or replaces a file. Other programs see the old or the new content, never a part of it.

    Args:
        durable: wait until the file is on the disk, where a power failure cannot harm it.

    Raises:
        OSError: the file cannot be written. The error's `filename` is `path`, and the old content
            is unchanged.
    """
    temporary = path.with_name(f"{PREFIX}{path.name}")
    try:
        with naming(path):
            remove(temporary)
            # A path may contain bytes that are not text. In a file they become question marks.
            data = content.encode(errors="replace") if isinstance(content, str) else content
            if durable:
                write_durably(temporary, data)
            else:
                with temporary.open("xb") as file:  # "x" follows no link that somebody put there.
                    file.write(data)
            os.replace(temporary, path)
            if durable:
                sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def overwrite(path: Path, content: str) -> None:
    """Replaces the text of a small existing file in place, which needs no space on a full disk.

    Raises:
        OSError: the file does not exist or cannot be written.
    """
    with naming(path), path.open("r+b") as file:
        file.write(content.encode())
        file.truncate()


def write_json(path: Path, content: Any, durable: bool = False) -> None:
    """Writes JSON values as indented text; see `write`."""
    write(path, as_json(content), durable)


def as_json(content: Any) -> str:
    """JSON values as the text of a file."""
    return json.dumps(content, indent=2) + "\n"


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Makes errors of the system name a path. The error of a full disk names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_durably(path: Path, content: bytes) -> None:
    """Writes a new file and waits until it is on the disk, where a power failure cannot harm it."""
    with naming(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    """Removes a file, or a folder with everything in it, if it exists. A link is not followed.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until the content of a file, or a folder's list of files, is on the disk."""
    with naming(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_writable(folder: Path) -> None:
    """Checks that the disk of a folder is not read-only.

    Raises:
        OSError: it is. The error names the folder.
    """
    try:
        with naming(folder), tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno == errno.EROFS:
            raise


def check_folder(folder: Path, what: str, remedy: str) -> None:
    """Checks that files can be written to a folder, without creating the folder.

    Args:
        what, remedy: see `make_folder`.

    Raises:
        OSError: files cannot be written. The message names the folder, the reason and the remedy.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise _cannot_write(folder, what, remedy, error) from error


def make_folder(folder: Path, what: str, remedy: str) -> None:
    """Creates a folder if necessary, and checks that files can be written to it.

    Args:
        what: what would be written, e.g. "figures".
        remedy: what the user can do, e.g. "choose a different folder with --output".

    Raises:
        OSError: files cannot be written. The message names the folder, the reason and the remedy.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{PREFIX}probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _cannot_write(folder, what, remedy, error) from error


def _cannot_write(folder: Path, what: str, remedy: str, error: OSError) -> OSError:
    return OSError(f"Cannot write {what} to {folder} ({error.strerror}): {remedy}.")
