"""Starts programs that load TensorFlow without waiting for it: it is imported once, then forked.

A process that has only imported TensorFlow has not started its threads yet, so it may be forked.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@functools.cache
def zygote() -> Zygote:
    """The one of this process. It ends with this process."""
    return Zygote()


class Zygote:
    """A process that has imported TensorFlow, and starts `lenet.train` as often as needed.

    Args:
        environment: variables for its environment.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
                **(environment or {}),
            },
        )
        assert self._read() == "ready"

    def start(self, words: list[str], errors: Path) -> int:
        """Starts a program whose stderr goes to a file. Returns its process ID."""
        self._write(json.dumps([words, str(errors)]))
        return int(self._read())

    def wait(self, process: int) -> int:
        """Waits for a program. Returns its exit code; -N if signal N killed it."""
        self._write(json.dumps(process))
        return int(self._read())

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _serve() -> None:
    from lenet import train
    from lenet.training.runtime import import_tensorflow

    import_tensorflow(lean=True)
    import lenet.gallery.groups
    import lenet.gallery.writing
    import lenet.training.trainer  # noqa: F401

    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, int):
            print(os.waitstatus_to_exitcode(os.waitpid(request, 0)[1]), flush=True)
            continue
        words, errors = request
        child = os.fork()
        if child == 0:
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(train.main(words))
        print(child, flush=True)


if __name__ == "__main__":
    _serve()
