"""Writes files whole or not at all: under a temporary name first, then renamed into place."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

PREFIX = ".writing-"  # Of temporary names: nothing reads a file whose name begins like this.


def write(path: Path, content: bytes | str) -> None:
    """Writes a file, or replaces it. Other programs see the old content or the new, never a part.

    Raises:
        OSError: the file cannot be written; its `filename` is `path`, and the old content is
            still there.
    """
    temporary = path.with_name(f"{PREFIX}{path.name}")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    except OSError as error:  # A full disk does not say which file it had no room for.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Writes JSON values as indented text; see `write`."""
    write(path, json.dumps(content, indent=2) + "\n")


def write_durably(path: Path, content: bytes) -> None:
    """Writes a new file and waits until it is safe on the disk, even from a power failure."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until a folder's list of files is safe on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_folder(folder: Path, what: str, remedy: str) -> None:
    """Checks that files could be written to a folder, without making it if it does not exist.

    Args:
        what, remedy: see `make_folder`.

    Raises:
        OSError: they could not; the message names the folder, the reason and the remedy.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise _cannot_write(folder, what, remedy, error) from error


def make_folder(folder: Path, what: str, remedy: str) -> None:
    """Makes a folder if need be, and tries whether files can be written to it.

    Args:
        what: what would be written, e.g. "figures".
        remedy: what the user can do, e.g. "name another folder with --output".

    Raises:
        OSError: they cannot; the message names the folder, the reason and the remedy.
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
