"""Tiny runs for the rows: trained by the command line in this process, and compared in full."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lenet import cli, files, train
from lenet.recording import checkpoints, events, runs
from lenet.training import progress

from . import Unavailable

RUN = "run"
# Six steps; a checkpoint and an inspection every two. Nothing in it depends on the folder.
OPTIONS = "--epochs 2 --batch-size 32 --inspect-every 2 --checkpoint-every 2 --no-figures --quiet"
LAST_STEP = 6


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code and what it printed on stderr."""

    code: int
    errors: str


@functools.cache
def images() -> Path:
    """A data set of 70 training and 30 test images of 12x12 pixels, as one file."""
    path = Path(tempfile.mkdtemp(prefix="sweep-images-")) / "tiny.npz"
    rng = np.random.default_rng(0)
    arrays = {}
    for split, size in (("train", 70), ("test", 30)):
        arrays[f"y_{split}"] = labels = (np.arange(size) % 3).astype(np.int32)
        arrays[f"x_{split}"] = rng.integers(0, 200, (size, 12, 12, 1), dtype=np.uint8)
        arrays[f"x_{split}"][np.arange(size), :, labels * 4] = 255
    np.savez(path, **arrays)
    return path


@functools.cache
def whole() -> Path:
    """The folder of a run that nothing disturbed."""
    logdir = Path(tempfile.mkdtemp(prefix="sweep-run-"))
    ended = start(logdir)
    assert ended.code == 0, ended.errors
    return logdir / RUN


def weights_sha256() -> str:
    """The sha256 of the weights of that run."""
    return runs.read_status(whole())["weights_sha256"]


def start(logdir: Path, *words: str, hook: Callable[[int], None] | None = None) -> Ended:
    """Trains a new run in a folder; see `main`."""
    return main(*arguments(logdir), *words, hook=hook)


def arguments(logdir: Path) -> list[str]:
    """The arguments of `lenet.train` for a new run in a folder."""
    fixed = ["--data-dir", str(images()), "--logdir", str(logdir), "--run-name", RUN]
    return [*fixed, *OPTIONS.split()]


def resume(run: Path, *words: str, hook: Callable[[int], None] | None = None) -> Ended:
    """Continues a run; see `main`."""
    return main("--resume", str(run), "--quiet", *words, hook=hook)


def main(*words: str, hook: Callable[[int], None] | None = None) -> Ended:
    """Runs `lenet.train` in this process.

    Args:
        hook: called with the number of updates, before training and after each compiled call.
    """

    class Hooked(progress.Reporter):
        def start(self, step: int, last_step: int) -> None:
            if hook is not None:
                hook(step)

        def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
            if hook is not None:
                hook(step)

    # Each run compiles its own functions on purpose. TensorFlow would warn about that.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "make_reporter", Hooked)
        return program(train.main, *words)


def program(run: Callable[[Sequence[str]], int], *words: str) -> Ended:
    """Runs a program in this process."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.run(lambda: run(words))
        except SystemExit as end:
            return Ended(int(end.code or 0), errors.getvalue())


def check_complete(run: Path, expected: Path | None = None) -> None:
    """Checks that a run recorded exactly what an undisturbed run records."""
    expected = expected or whole()
    status = runs.read_status(run)
    assert (status["state"], status["step"]) == ("done", LAST_STEP), status
    assert status["weights_sha256"] == runs.read_status(expected)["weights_sha256"]
    for name in (checkpoints.MODEL, checkpoints.OPTIMIZER):
        path = Path(runs.CHECKPOINTS, runs.step_name(LAST_STEP), name)
        assert (run / path).read_bytes() == (expected / path).read_bytes(), path
    assert (run / runs.METRICS).read_bytes() == (expected / runs.METRICS).read_bytes()
    assert recorded(run) == recorded(expected)
    left = list(run.rglob(f"{files.PREFIX}*"))
    assert not left, f"{left} is left over"


def recorded(run: Path) -> dict[tuple[str, str], tuple[list[int], list[object]]]:
    """The steps and values by writer and tag, as TensorBoard reads them, repetitions included.

    Left out is what depends on the name and the speed of the run.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    steps: dict[tuple[str, str], list[int]] = {}
    for split in ("train", "test"):
        for path in events.event_files(run / split):
            for event in EventFileLoader(str(path)).Load():
                for value in event.summary.value:
                    steps.setdefault((split, value.tag), []).append(event.step)
    values = {split: events.read_tensors(run / split) for split in ("train", "test")}
    return {
        (split, tag): (found, [value.tolist() for value in values[split][tag][1]])
        for (split, tag), found in steps.items()
        if tag not in ("images_per_second", "config", "__run_graph__")
    }


def check_error(ended: Ended, place: Path, *words: str) -> None:
    """Checks that a program ended with one line that names a place and contains some words."""
    assert ended.code == 2, ended
    assert ended.errors.startswith("Error: ") and ended.errors.count("\n") == 1, ended.errors
    assert str(place) in ended.errors, ended.errors
    for word in words:
        assert word in ended.errors, ended.errors


@functools.cache
def need_mounts() -> None:
    """Skips a row if this process may not mount disks.

    Raises:
        Unavailable: it may not.
    """
    folder = Path(tempfile.mkdtemp(prefix="sweep-mount-"))
    try:
        with small_disk(folder, 4096):
            pass
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable("only root on Linux may mount the disks that this row needs") from error


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of `size` bytes, in memory, mounted on a folder."""
    mount(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield folder
    finally:
        unmount(folder)


def resize(folder: Path, size: int) -> None:
    """Changes the size of a small disk."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def mount(folder: Path, *options: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *options, str(folder)], check=True, capture_output=True)


def unmount(folder: Path, *options: str) -> None:
    subprocess.run(["umount", *options, str(folder)], check=True, capture_output=True)


def size_on_disk(folder: Path) -> int:
    """The bytes that a folder takes on a disk with blocks of 4 KiB."""
    sizes = [path.stat().st_size if path.is_file() else 4096 for path in folder.rglob("*")]
    return sum(-(-size // 4096) * 4096 for size in sizes)


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
