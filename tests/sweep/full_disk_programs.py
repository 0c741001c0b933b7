"""Figures, a report and a grid on a disk that is too small, in steps of 4 KiB."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from lenet import files
from lenet.recording import runs

from . import Trial, _runs

FAULT = "The disk is too small for the figures of a run, for a report, or for a grid (each size in steps of 4 KiB)"
PROMISE = (
    "The program names the place and the remedy, and its exit code is not 0. No file is incomplete. "
    "With more space, the same command completes its work."
)
SAMPLE = 1
BLOCK = 4096
GRID_BLOCKS = 16  # A grid takes seconds, so its disks grow in larger steps.
PLENTY = 64 * 2**20
GRID = "--model mlp --activations relu tanh --optimizers sgd --seeds 0 --epochs 1 --batch-size 32 --workers 0 --name grid"


def trials(folder: Path) -> Iterator[Trial]:
    """Every size of the disk for each of three programs."""
    _runs.need_mounts()
    disk = folder / "disk"
    for size in range(BLOCK, 160 * 1024, BLOCK):
        yield Trial(f"figures, {size // 1024} KiB", partial(_draw, disk, size))
    for size in range(BLOCK, 240 * 1024, BLOCK):
        yield Trial(f"report, {size // 1024} KiB", partial(_report, disk, size))
    for size in range(BLOCK, 1800 * 1024, GRID_BLOCKS * BLOCK):
        yield Trial(f"grid, {size // 1024} KiB", partial(_grid, disk, size), slow=True)


def _draw(disk: Path, size: int) -> None:
    from lenet import visualize

    words = [str(_runs.whole()), "--only", "learning_curves", "kernels", "--output", str(disk)]
    _check(disk, size, visualize.main, words, disk / "index.html")


@functools.cache
def _trained_grid() -> Path:
    logdir = Path(tempfile.mkdtemp(prefix="sweep-grid-"))
    ended = _runs.program(_grid_main, *_grid_words(logdir))
    assert ended.code == 0, ended
    return logdir / "grid"


def _report(disk: Path, size: int) -> None:
    from experiments.report.__main__ import main

    page = disk / "report.html"
    _check(disk, size, main, [str(_trained_grid()), "--output", str(page)], page)


def _check(disk: Path, size: int, main: object, words: list[str], result: Path) -> None:
    with _runs.small_disk(disk, size):
        ended = _runs.program(main, *words)  # type: ignore[arg-type]
        if ended.code == 0:
            assert result.stat().st_size > 0
            return
        _runs.check_error(ended, disk, "Free some space")
        _check_files(disk)
        _runs.resize(disk, PLENTY)
        again = _runs.program(main, *words)  # type: ignore[arg-type]
        assert again.code == 0, again
        assert result.stat().st_size > 0
        _check_files(disk)


def _check_files(disk: Path) -> None:
    assert not list(disk.rglob(f"{files.PREFIX}*"))
    for path in disk.rglob("*.png"):
        assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), f"{path} is incomplete"
    for path in disk.rglob("*.html"):
        assert path.read_text().rstrip().endswith("</html>"), f"{path} is incomplete"


def _grid_main(words: Sequence[str]) -> int:
    from experiments.grid.__main__ import main

    return main(words)


def _grid_words(logdir: Path) -> list[str]:
    return [*GRID.split(), "--data-dir", str(_runs.images()), "--logdir", str(logdir)]


def _grid(disk: Path, size: int) -> None:
    with _runs.small_disk(disk, size):
        ended = _runs.program(_grid_main, *_grid_words(disk))
        if ended.code != 0:
            assert str(disk) in ended.errors and "No space left" in ended.errors, ended
            assert "Free some space" in ended.errors and "Traceback" not in ended.errors, ended
            _runs.resize(disk, PLENTY)
            again = _runs.program(_grid_main, *_grid_words(disk))
            assert again.code == 0, again
        for run in _trained_grid().glob("*-seed0"):
            one, other = runs.read_status(disk / "grid" / run.name), runs.read_status(run)
            assert one["weights_sha256"] == other["weights_sha256"]
        rows = json.loads((disk / "grid" / "results.json").read_text())
        assert len(rows) == 2
