"""Writes the figures of a run to a folder, with one page that shows them all."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lenet import cli, files
from lenet.figures import style
from lenet.gallery.captioned import CaptionedFigure
from lenet.gallery.groups import Group
from lenet.gallery.page import PageFigure, Section, data_address, render
from lenet.gallery.run_data import RunData

PAGE = "index.html"
PAGE_DPI = 100
WHAT, REMEDY = "figures", "choose a different folder with --output"


def write(
    data: RunData,
    folder: Path,
    groups: Sequence[Group],
    format: str = "png",
    dpi: int = PAGE_DPI,
    hint: str = "",
) -> Path:
    """Draws groups of figures and writes them with their page. No file is ever incomplete.

    Args:
        groups: the groups to draw; those that do not apply to the network are left out.
        format: "png", "svg" or "pdf".
        hint: a sentence for the top of the page.

    Returns:
        The path of the page.

    Raises:
        OSError: the folder cannot be written.
    """
    files.make_folder(folder, WHAT, REMEDY)
    sections = []
    for group in _with_progress([group for group in groups if group.applies(data)]):
        figures = [_save(drawn, folder, format, dpi) for drawn in group.draw(data)]
        if group.arrays is not None:
            files.write(folder / f"{group.name}.npz", _compressed(group.arrays(data)))
        if figures:
            sections.append(Section(group.name, group.heading, figures, group.layout))
    page = folder / PAGE
    title = f"What the network learned: {data.run.title}"
    files.write(page, render(title, _facts(data), sections, hint))
    return page


def drawing_command(run: Path) -> str:
    """The command that draws all figures of a run, as the user can type it in this folder."""
    return f"{cli.python_command()} -m lenet.visualize {shlex.quote(str(run))}"


def _facts(data: RunData) -> dict[str, str]:
    """The facts about the run that the page shows, by name."""
    run, config = data.run, data.run.config
    return {
        "run": str(run.path),
        "images": f"{run.dataset_name}, {len(data.dataset.train):,} for training, "
        f"{len(data.dataset.test):,} for testing",
        "network": f"{config.model}, {run.model.num_parameters:,} trainable parameters",
        "trained with": f"{config.activation}, {config.optimizer}, learning rate "
        f"{config.learning_rate:g}, batch size {config.batch_size}, {run.step:,} steps, seed "
        f"{config.seed}",
        "test accuracy": f"{100 * data.accuracy:.2f} %",
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


def _save(drawn: CaptionedFigure, folder: Path, format: str, dpi: int) -> PageFigure:
    """Writes one figure, and returns it in the form for the page."""
    moving = ""
    if isinstance(drawn.content, bytes):
        files.write(folder / f"{drawn.name}{drawn.suffix}", drawn.content)
        shown = drawn.still or drawn.content
        if drawn.still:
            moving = data_address(drawn.content, "image/gif")
    else:
        shown = style.encode(drawn.content, format, dpi)
        files.write(folder / f"{drawn.name}.{format}", shown)
        if format != "png" or dpi > PAGE_DPI:
            shown = style.encode(drawn.content, "png", PAGE_DPI)
    return PageFigure(drawn.name, drawn.caption, data_address(shown, "image/png"), moving)


def _compressed(arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
