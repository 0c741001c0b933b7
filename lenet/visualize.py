"""`python -m lenet.visualize RUN`: draws all figures of a trained run, and a page with them."""

from __future__ import annotations

import io
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lenet import cli
from lenet.recording import runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lenet.gallery.groups import Gallery, Picture
    from lenet.gallery.page import PagePicture

PAGE = "index.html"
PAGE_DPI = 100
HEADINGS = {
    "architecture": "The network",
    "inputs": "What goes in",
    "learning_curves": "Learning curves",
    "diagnostics": "Diagnostics, layer by layer",
    "kernels": "Kernels",
    "feature_maps": "Feature maps",
    "fc_matrices": "Fully connected layers",
    "confusion_matrix": "Confusion matrix",
    "mistakes": "Mistakes",
    "evolution": "Through training",
    "embeddings": "How the layers keep classes apart",
}


@dataclass(frozen=True)
class Options:
    """What `lenet.visualize` can be told.

    Attributes:
        run: The run's folder, e.g. summary_logs/<run>.
        only: Draw only these: e.g. kernels fc2_maps embeddings. Default: everything.
        samples: Test images in the embeddings, at most.
        format: The figures' format; animations are always GIFs, the diagram a PNG.
        dpi: Dots per inch; figures are 12 inches wide.
        colormap: The colours of the lower row of fc2 maps: any matplotlib name, e.g. jet.
        output: Where figures go. Default: RUN/figures.
        data_dir: Where the run's images lie now, if not where they did.
    """

    run: Path
    only: tuple[str, ...] = ()
    samples: int = 5_000
    format: Literal["png", "svg", "pdf"] = "png"
    dpi: int = 100
    colormap: str = "viridis"
    output: Path | None = None
    data_dir: Path | None = None

    def check(self) -> None:
        """Raises a ValueError where a number is out of its range."""
        for name, least in (("samples", 50), ("dpi", 10)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"Expected {name} to be at least {least}. Received: {getattr(self, name)}"
                )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; a user's mistake ends it with exit code 2."""
    import tyro

    started = time.perf_counter()
    try:
        options = tyro.cli(
            Options,
            prog="python -m lenet.visualize",
            description="Draws all figures of a trained run, and a page with them.",
            args=arguments,
            config=(tyro.conf.PositionalRequiredArgs,),
        )
        options.check()
        gallery = _open(options)
        folder = options.output or options.run / runs.FIGURES
        page = write(gallery, folder, options.only, options.format, options.dpi)
    except KeyboardInterrupt:
        print("Interrupted: the figures drawn so far are whole.", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        cli.fail(error)
    print(f"{page}  ({time.perf_counter() - started:.0f} s)")
    return 0


def _open(options: Options) -> Gallery:
    """Reads the run and its images."""
    runs.read_config(options.run)
    from lenet.training.runtime import start_tensorflow

    print("Loading TensorFlow …", flush=True)
    start_tensorflow(lean=True)
    from matplotlib import colormaps

    from lenet.analysis.trained import load_run
    from lenet.gallery.groups import Gallery

    if options.colormap not in colormaps:
        raise ValueError(
            "Expected colormap to be a colour map of matplotlib, e.g. viridis, jet, gray. "
            f"Received: colormap={options.colormap!r}"
        )
    run = load_run(options.run)
    for skipped in run.skipped:
        _warn(f"skipped a damaged checkpoint: {skipped}")
    return Gallery(
        run, run.load_dataset(options.data_dir), options.samples, options.colormap, _warn
    )


def write(
    gallery: Gallery,
    folder: Path,
    only: Sequence[str] = (),
    format: str = "png",
    dpi: int = PAGE_DPI,
    hint: str = "",
) -> Path:
    """Draws figures and writes them with their page, every file whole or not at all.

    Args:
        only: groups to draw; default all.
        hint: a sentence for the top of the page.

    Returns:
        The page.

    Raises:
        ValueError: there is no group of that name.
        OSError: the folder cannot be written.
    """
    groups = gallery.groups()
    unknown = [name for name in only if name not in groups]
    if unknown:
        raise ValueError(
            f"Expected only to name some of {', '.join(groups)}. Received: {', '.join(unknown)}"
        )
    _make_writable(folder)
    from lenet.gallery.page import Section, render

    sections = []
    for name, drawn in _draw(gallery, [name for name in groups if not only or name in only]):
        pictures = []
        for picture in drawn:
            pictures.append(_save(picture, folder, format, dpi))
        if name.endswith("_maps") and name != "feature_maps":
            _save_maps(gallery, folder / f"{name}.npz")
        if pictures:
            sections.append(Section(name, _heading(name), pictures))
    run = gallery.run
    facts = {
        "run": str(run.path),
        "images": f"{run.dataset_name}, {len(gallery.dataset.train):,} to train on, "
        f"{len(gallery.dataset.test):,} to test on",
        "network": f"{run.config.model}, {run.model.num_parameters:,} trainable parameters",
        "trained with": f"{run.config.activation}, {run.config.optimizer} at rate "
        f"{run.config.learning_rate:g}, batch {run.config.batch_size}, {run.step:,} steps, seed "
        f"{run.config.seed}",
        "test accuracy": f"{100 * gallery.accuracy:.2f} %",
    }
    page = folder / PAGE
    _replace(page, render(f"What it learned: {run.title}", facts, sections, hint).encode())
    return page


def _draw(gallery: Gallery, names: Sequence[str]) -> Iterator[tuple[str, Iterator[Picture]]]:
    """Group by group, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=f"Drawing {name}")
            yield name, gallery.groups()[name]()
            progress.advance(task)


def _save(picture: Picture, folder: Path, format: str, dpi: int) -> PagePicture:
    from lenet.gallery.page import PagePicture, data_address

    if isinstance(picture.content, bytes):
        _replace(folder / f"{picture.name}{picture.suffix}", picture.content)
        shown = picture.still or picture.content
        moving = data_address(picture.content, "image/gif") if picture.still else ""
    else:
        content = _render(picture.content, format, dpi)
        _replace(folder / f"{picture.name}.{format}", content)
        same = format == "png" and dpi <= PAGE_DPI
        shown = content if same else _render(picture.content, "png", PAGE_DPI)
        moving = ""
    source = data_address(shown, "image/png")
    return PagePicture(picture.name, picture.caption, source, moving)


def _render(figure: Figure, format: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, dpi=dpi)
    return buffer.getvalue()


def _save_maps(gallery: Gallery, path: Path) -> None:
    """The arrays behind the maps: `map_<class>`, float32 [rows, units]."""
    import numpy as np

    buffer = io.BytesIO()
    maps: dict[str, Any] = {
        f"map_{place}": values for place, values in enumerate(gallery.maps_by_class())
    }
    np.savez_compressed(buffer, **maps)
    _replace(path, buffer.getvalue())


def _heading(name: str) -> str:
    if name in HEADINGS:
        return HEADINGS[name]
    layer, kind = name.rsplit("_", 1)
    return {
        "maps": f"{layer}, all classes",
        "map": f"{layer}, class by class",
        "means": f"{layer}, class means",
    }[kind]


def _make_writable(folder: Path) -> None:
    """Makes sure files can be put into a folder before anything is drawn."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writing"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"Cannot write figures to {folder} ({error.strerror}): name another folder with --output."
        ) from error


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".writing-{path.name}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:  # A full disk does not say which file it had no room for.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _warn(text: str) -> None:
    print(f"Note: {text}", file=sys.stderr, flush=True)


def command(run: Path) -> str:
    """The command that draws everything of a run."""
    return f"{cli.python_command()} -m lenet.visualize {shlex.quote(str(run))}"


if __name__ == "__main__":
    sys.exit(main())
