"""Reads TensorBoard's event files back into NumPy, without TensorFlow.

An event file is a sequence of records: the length as a little-endian 64-bit integer, its
checksum, the bytes of one `Event` message, and their checksum (TensorFlow's TFRecord format). A
record that ends early is still being written. An invalid record is the result of a power
failure. Reading stops at both.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from lenet import files, reading

PATTERN = "events.out.tfevents.*"


def read_tensors(
    folder: Path | str, tags: Collection[str] | None = None
) -> dict[str, tuple[np.ndarray, list[np.ndarray]]]:
    """Reads everything that one writer wrote.

    Args:
        folder: e.g. `RUN/train`.
        tags: read only these; default: all.

    Returns:
        For each tag the steps, int64 [n], ascending, and the n values: scalars as arrays of
        shape [], histograms as [buckets, 3] (left edge, right edge, count), images and text
        as arrays of bytes (for images: width, height, then one PNG per image).

    Raises:
        FileNotFoundError: the folder contains no event file.
    """
    from tensorboard.util import tensor_util

    found: dict[str, dict[int, np.ndarray]] = {}
    for path in event_files(folder):
        for event, _ in _read_events(path):
            for value in event.summary.value:
                if value.HasField("tensor") and (tags is None or value.tag in tags):
                    with contextlib.suppress(TypeError, ValueError):  # A damaged value.
                        array = tensor_util.make_ndarray(value.tensor)
                        found.setdefault(value.tag, {})[event.step] = array
    return {
        tag: (np.array(sorted(by_step), np.int64), [by_step[step] for step in sorted(by_step)])
        for tag, by_step in found.items()
    }


def read_scalars(
    folder: Path | str, tags: Collection[str] | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads the scalars of one writer: for each tag, steps int64 [n] and values float32 [n].

    Args:
        tags: read only these; default: all.

    Raises:
        FileNotFoundError: the folder contains no event file.
    """
    return {
        tag: (steps, np.array(values, np.float32))
        for tag, (steps, values) in read_tensors(folder, tags).items()
        if all(value.shape == () and value.dtype == np.float32 for value in values)
    }


def event_files(folder: Path | str) -> list[Path]:
    """The event files of one writer, oldest first.

    Raises:
        FileNotFoundError: there are none.
    """
    files = sorted(Path(folder).glob(PATTERN))
    if not files:
        raise FileNotFoundError(f"There are no event files in {folder}.")
    return files


def count_records(path: Path, start: int = 0) -> tuple[int, int]:
    """Counts the complete records of an event file, by their lengths alone.

    Args:
        start: the position of the first record to count.

    Returns:
        The number of records, and the position at which the last of them ends.

    Raises:
        OSError: the file cannot be read.
    """
    count, end = 0, start
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while end + 12 <= size:
            file.seek(end)
            after = end + 12 + int.from_bytes(file.read(8), "little") + 4
            if after > size:
                break
            count, end = count + 1, after
    return count, end


def named_last(path: Path) -> Path:
    """Renames a new event file if its name is not the last in its folder.

    The name contains the time in seconds. TensorBoard reads the files in the order of their names,
    and hides steps that come after later ones. If the clock was set back before a run was
    resumed, it would hide the steps before that.

    Returns:
        The path of the file.
    """
    seconds, rest = _seconds_in_name(path), path.name.split(".", 4)[-1]
    others = [_seconds_in_name(other) for other in path.parent.glob(PATTERN) if other != path]
    latest = max(others, default=0)
    if seconds > latest:
        return path
    return path.rename(path.with_name(f"{PATTERN[:-1]}{latest + 1:010d}.{rest}"))


def cut_after(folder: Path | str, step: int) -> None:
    """Removes everything that a writer wrote after a step, so that a run can continue from there.

    Otherwise a run that was killed after its last checkpoint and then resumed would show the
    steps in between twice.

    Args:
        folder: e.g. `RUN/train`; it may have no event files.
        step: the last step to keep.
    """
    for path in sorted(Path(folder).glob(PATTERN)):
        kept = b"".join(record for event, record in _read_events(path) if event.step <= step)
        if len(kept) != path.stat().st_size:
            files.write(path, kept)


def _seconds_in_name(path: Path) -> int:
    """The time in the name of an event file; 0 if it has none."""
    seconds = path.name.removeprefix(PATTERN[:-1]).split(".")[0]
    return int(seconds) if seconds.isdecimal() else 0


def _read_events(path: Path) -> Iterator[tuple[object, bytes]]:
    """Yields every complete event of a file, with the bytes of its record."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    with reading.open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        while len(header := file.read(12)) == 12:
            length, checksum = struct.unpack("<QI", header)
            if checksum != masked_crc32c(header[:8]) or length > size:
                return
            body = file.read(length + 4)
            if len(body) != length + 4:
                return
            try:
                event = Event.FromString(body[:-4])
            except DecodeError:
                return
            yield event, header + body
