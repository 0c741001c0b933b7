"""Writes the figures of a run to a folder, with one page that shows them all."""

from __future__ import annotations

import glob
import io
import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lenet import cli, files
from lenet.diagnosis import interval_in_words
from lenet.figures import saving
from lenet.gallery.captioned import CaptionedFigure
from lenet.gallery.groups import Group, groups_of
from lenet.gallery.page import PageFigure, Section, data_address, read, render
from lenet.gallery.run_data import RunData
from lenet.recording import runs

PAGE = "index.html"
PAGE_DPI = 100
SMALLEST_TEXT = 5.0  # Points. Smaller text is hard to read in print.
WHAT, REMEDY = "figures", "choose a different folder with --output"


class Written(NamedTuple):
    """The page, and the other files that a call of `write` made."""

    page: Path
    files: list[Path]


def write(
    data: RunData,
    folder: Path,
    groups: Sequence[Group],
    format: str = "png",
    dpi: int = PAGE_DPI,
    hint: str = "",
    width: float | None = None,
) -> Written:
    """Draws groups of figures and writes them with their page. No file is ever incomplete.

    The page keeps the figures of other groups that an earlier call drew for this run.

    Args:
        groups: the groups to draw; those that do not apply to the network are left out.
        format: "png", "svg" or "pdf".
        hint: a sentence for the top of the page.
        width: the width of the figures in inches; default: that for a screen.

    Raises:
        OSError: the folder cannot be written.
    """
    files.make_folder(folder, WHAT, REMEDY)
    page, step = folder / PAGE, data.run.step
    sections = {section.name: section for section in _earlier(page, data.run.path.name)}
    made: list[Path] = []
    for group in _with_progress([group for group in groups if group.applies(data)]):
        earlier = sections.pop(group.name, None)
        figures = {}
        if group.partial and earlier is not None and earlier.step == step:
            figures = {figure.name: figure for figure in earlier.figures}
        for drawn in group.draw(data):
            figures[drawn.name] = _save(drawn, folder, format, dpi, width, made)
            if width is not None and isinstance(drawn.content, Figure):
                _check_text(drawn.name, drawn.content, width, data.warn)
        if group.arrays is not None:
            made.append(folder / f"{group.name}.npz")
            files.write(made[-1], _compressed(group.arrays(data)))
        if figures:
            drawn_now = list(figures.values())
            section = Section(group.name, group.heading, drawn_now, step, group.layout)
            sections[group.name] = section
    title = f"What the network learned: {data.run.title}"
    order = [group.name for group in groups_of(data.feature_layer)]
    in_order = [sections[name] for name in order if name in sections]
    files.write(page, render(title, _facts(data), in_order, hint, data.run.path.name, step))
    return Written(page, made)


def _earlier(page: Path, run: str) -> list[Section]:
    """What the page shows now, without figures whose files the user has removed."""
    if not page.exists():
        return []
    sections = []
    for section in read(page.read_text(errors="replace"), run):
        there = [f for f in section.figures if any(page.parent.glob(f"{glob.escape(f.name)}.*"))]
        if there:
            sections.append(replace(section, figures=there))
    return sections


def drawing_command(run: Path) -> str:
    """The command that draws all figures of a run, as the user can type it in this folder."""
    return f"{cli.python_command()} -m lenet.visualize {shlex.quote(str(run))}"


def _facts(data: RunData) -> dict[str, str]:
    """The facts about the run that the page shows, by name."""
    run, config = data.run, data.run.config
    status, steps = runs.read_status(run.path), f"{run.step:,} steps"
    if status.get("best_step") == run.step < (status.get("step") or 0):
        steps += f" (the best of {status['step']:,})"
    return {
        "run": str(run.path),
        "images": f"{run.dataset_name}, {len(data.dataset.train):,} for training, "
        + (f"{len(data.dataset.validation):,} for validation, " if data.dataset.validation else "")
        + f"{len(data.dataset.test):,} for testing",
        "network": f"{config.model}, {run.model.num_parameters:,} trainable parameters",
        "trained with": f"{config.activation}, {config.optimizer}, learning rate "
        f"{config.learning_rate:g}, batch size {config.batch_size}, {steps}, seed {config.seed}",
        "test accuracy": f"{100 * data.accuracy:.2f} %"
        + interval_in_words(data.accuracy, len(data.dataset.test)),
    }


def _with_progress(groups: Sequence[Group]) -> Iterator[Group]:
    """Yields the groups one by one, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(groups))
        for group in groups:
            progress.update(task, description=f"Drawing {group.name}")
            yield group
            progress.advance(task)


def _save(
    drawn: CaptionedFigure,
    folder: Path,
    format: str,
    dpi: int,
    width: float | None,
    made: list[Path],
) -> PageFigure:
    """Writes one figure, adds its file to `made`, and returns it in the form for the page."""
    moving = ""
    if isinstance(drawn.content, bytes):
        made.append(folder / f"{drawn.name}{drawn.suffix}")
        files.write(made[-1], drawn.content)
        shown = drawn.still or drawn.content
        if drawn.still:
            moving = data_address(drawn.content, "image/gif")
    else:
        shown = b""
        if format != "png" or dpi > PAGE_DPI or width is not None:  # Before it gets narrower.
            shown = saving.encode(drawn.content, "png", PAGE_DPI)
        saved = saving.encode(drawn.content, format, dpi, width)
        made.append(folder / f"{drawn.name}.{format}")
        files.write(made[-1], saved)
        shown = shown or saved
    return PageFigure(drawn.name, drawn.caption, data_address(shown, "image/png"), moving)


def _check_text(name: str, figure: Figure, width: float, warn: Callable[[str], None]) -> None:
    """Warns if the text of a figure became too small to read."""
    size = saving.smallest_text(figure)
    if size < SMALLEST_TEXT:
        warn(
            f"some text of {name} has only {size:.1f} points. For {SMALLEST_TEXT:g} points: "
            f"--width {math.ceil(10 * width * SMALLEST_TEXT / size) / 10:g}"
        )


def _compressed(arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
