"""Calls our programs in this process, and checks what a user sees after a fault."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 60
Main = Callable[[Sequence[str]], int]
Damage = Callable[[Path], None]


@dataclass(frozen=True)
class Result:
    """How a program ended, and what it printed."""

    code: int
    out: str
    err: str


def call(main: Main, *arguments: str | Path) -> Result:
    """Calls the `main` of a program. Any exception but SystemExit is a failure, and so is waiting."""
    out, err = io.StringIO(), io.StringIO()
    with (
        limit(SECONDS),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def check(result: Result, name: str) -> None:
    """Checks the promise: the program goes on, or it ends with one line that names the file or run."""
    assert "Traceback" not in result.out + result.err, result.err
    if result.code == 0:
        return
    assert result.code in (1, 2), f"exit code {result.code}: {result.err}"
    if result.code == 1:  # The grid: a run failed, and its line says why.
        assert "Failed: " in result.err or "could not be written" in result.err, result.err
        return
    *_, line = result.err.splitlines()
    assert line.startswith("Error: "), result.err
    assert name in line, f"{name} is not named: {line}"


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raises a TimeoutError in a block that takes longer, e.g. because it opened a named pipe."""

    def end(number: int, frame: object) -> None:
        raise TimeoutError(f"it did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def make_run(logdir: Path, name: str = "run") -> Path:
    """Trains LeNet for four steps on the bundled digits, with two checkpoints and three inspections."""
    from lenet import TrainConfig, Trainer, load_dataset
    from lenet.training.progress import Reporter

    config = TrainConfig(
        dataset="digits",
        max_steps=4,
        inspect_every=2,
        checkpoint_every=2,
        eval_every=2,
        figures=False,
        logdir=logdir,
        run_name=name,
    )
    Trainer(config, load_dataset("digits"), Reporter(quiet=True)).fit()
    return logdir / name


def on_copy(original: Path, copy: Path, file: str, damage: Damage) -> Path:
    """Copies a folder, and damages one file in the copy.

    Args:
        file: a pattern for the file's path in the folder; its last match is damaged.
    """
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(original, copy)
    damage(sorted(copy.glob(file))[-1])
    return copy


def remove(path: Path) -> None:
    """Removes whatever is at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def damages() -> dict[str, Damage]:
    """What can happen to any file."""
    made: dict[str, Damage] = {
        f"cut to {percent} %": _changed(lambda b, p=percent: b[: len(b) * p // 100])
        for percent in range(0, 100, 5)
    }
    made["without its last byte"] = _changed(lambda content: content[:-1])
    made["only zeros"] = _changed(lambda content: bytes(len(content)))
    made["zeros in the middle"] = _changed(
        lambda b: b[: len(b) // 3] + bytes(len(b) // 3) + b[2 * len(b) // 3 :]
    )
    made["random bytes"] = _changed(lambda content: bytes(i * 97 % 251 for i in range(1, 5000)))
    made["UTF-16"] = _changed(lambda content: content.decode("latin1").encode("utf-16"))
    made["twice"] = _changed(lambda content: content + content)
    made["deleted"] = Path.unlink
    made["a folder"] = _replaced(Path.mkdir)
    made["a named pipe"] = _replaced(os.mkfifo)
    made["a circular link"] = _replaced(lambda path: path.symlink_to(path))
    made["a link to a device"] = _replaced(lambda path: path.symlink_to("/dev/zero"))
    return made


def with_values(changes: Mapping[str, Any]) -> Damage:
    """Changes entries of a JSON file; "dataset.name" is an entry of an entry."""

    def damage(path: Path) -> None:
        content = json.loads(path.read_text())
        for name, value in changes.items():
            *outer, last = name.split(".")
            place = content
            for key in outer:
                place = place[key]
            place[last] = value
        path.write_text(json.dumps(content))

    return damage


def wrong_json() -> dict[str, Damage]:
    """Texts that are no JSON object, or one that is nested too deeply."""
    texts = {
        "null": "null",
        "a list": "[]",
        "an empty object": "{}",
        "100,000 brackets": "[" * 100_000,
        "100,000 nested objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
        "half of a character": '{"state": "\\ud800", "model": "\\ud800"}',
        "a number of 5,000 digits": '{"step": ' + "9" * 5_000 + "}",
    }
    return {
        name: _changed(lambda content, text=text: text.encode()) for name, text in texts.items()
    }


def _changed(change: Callable[[bytes], bytes]) -> Damage:
    def damage(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return damage


def _replaced(make: Callable[[Path], Any]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


# Values that no entry should have, or only few.
WRONG_VALUES: tuple[Any, ...] = (None, True, -1, 0.5, 10**40, "x", [], {}, [[None]], float("nan"))
