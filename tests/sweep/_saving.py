"""Saves one checkpoint in a process of its own, which records or dies at one of its operations.

    python -m tests.sweep._saving SOURCE RUN KEEP record LOG
    python -m tests.sweep._saving SOURCE RUN KEEP kill NUMBER before|after|half

`SOURCE` is a whole checkpoint, which is saved again in `RUN/checkpoints`. An operation is a call that
changes the disk: mkdir, create, write, fsync, rename, unlink and rmdir. With `kill`, the process kills
itself before or after the operation of this number, or in the middle of writing.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lenet.recording import checkpoints, runs

Operation = tuple[Any, ...]
"""An operation and its paths; for `write` also the bytes."""


class Variable:
    """As much of a Keras variable as a checkpoint needs."""

    def __init__(self, name: str, value: np.ndarray) -> None:
        self.path, self.value = f"it/{name}", value

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.value


class Variables:
    """The variables of a model or an optimizer."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.weights = self.variables = [Variable(*item) for item in arrays.items()]


class File:
    """A file whose every `write` is one operation."""

    def __init__(self, path: str, file: io.FileIO, around: Callable[..., Any]) -> None:
        self._path, self._file, self._around = path, file, around

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: bytes) -> int:
        operation = ("write", self._path, bytes(content))
        self._around(operation, lambda: self._file.write(content), self._half(content))
        return len(content)

    def _half(self, content: bytes) -> Callable[[], Any]:
        return lambda: self._file.write(content[: len(content) // 2])


def interpose(around: Callable[..., Any]) -> None:
    """Makes every operation of this process go through `around(operation, make, make_half)`."""
    system_open = io.open

    def open_file(path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if not set(mode) & set("wa+x"):
            return system_open(path, mode, *rest, **options)
        file = around(("create", str(path)), lambda: system_open(path, "wb", buffering=0))
        return File(str(path), file, around)

    def wrapped(name: str) -> Callable[..., Any]:
        function = getattr(os, name)

        def call(*paths: Any, dir_fd: int | None = None, **options: Any) -> Any:
            inside = Path(f"/proc/self/fd/{dir_fd}").readlink() if dir_fd is not None else Path()
            named = [str(inside / path) for path in paths if isinstance(path, (str, Path))]
            if dir_fd is not None:
                options["dir_fd"] = dir_fd
            return around((name, *named), lambda: function(*paths, **options))

        return call

    def fsync(descriptor: int, system_fsync: Callable[[int], None] = os.fsync) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        around(("fsync", path), lambda: system_fsync(descriptor))

    io.open = open_file
    os.fsync = fsync
    for name in ("mkdir", "rename", "replace", "unlink", "remove", "rmdir"):
        setattr(os, name, wrapped(name))


class Killer:
    """Kills this process at one operation."""

    def __init__(self, number: int, when: str) -> None:
        self._number, self._when, self._made = number, when, 0

    def __call__(
        self,
        operation: Operation,
        make: Callable[[], Any],
        make_half: Callable[[], Any] | None = None,
    ) -> Any:
        due = self._made == self._number
        if due and self._when == "half" and make_half is not None:
            make_half()
        if due and self._when != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        result = make()
        self._made += 1  # As in a recording, an operation that failed does not count.
        if due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


class Recording:
    """Notes every operation."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def __call__(
        self,
        operation: Operation,
        make: Callable[[], Any],
        make_half: Callable[[], Any] | None = None,
    ) -> Any:
        result = make()
        self.operations.append(operation)
        return result


def main(source: str, run: str, keep: str, mode: str, *rest: str) -> None:
    """Runs the program."""
    state = json.loads((Path(source) / checkpoints.STATE).read_bytes())
    step = int(Path(source).name.removeprefix("step-"))
    whole = checkpoints.Checkpoint(Path(source), step, state)
    model, optimizer = Variables(whole.model_arrays()), Variables(whole.optimizer_arrays())
    around = Recording() if mode == "record" else Killer(int(rest[0]), rest[1])
    interpose(around)
    folder = Path(run) / runs.CHECKPOINTS
    checkpoints.save(folder, whole.step, model, optimizer, whole.state, int(keep))  # type: ignore[arg-type]
    if isinstance(around, Recording):
        Path(rest[0]).write_bytes(pickle.dumps(list(around.operations)))


if __name__ == "__main__":
    main(*sys.argv[1:])
