"""`python -m lenet.visualize RUN`: draws all figures of a trained run and writes their page."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from lenet import cli, files
from lenet.recording import runs
from lenet.registry import FEATURE_LAYERS, FIGURE_GROUPS

if TYPE_CHECKING:  # Imported when they are first needed, so that `--help` appears quickly.
    from lenet.gallery.groups import Group
    from lenet.gallery.run_data import RunData

DESCRIPTION = "Draws all figures of a run, and writes a page that shows them."


@dataclass(frozen=True)
class Options:
    """The options of `lenet.visualize`.

    Attributes:
        run: The run's folder, e.g. summary_logs/<run>.
        samples: Maximum number of test images in the embeddings.
        format: The format of the figures. Animations are always GIFs, and the diagram is a PNG.
        dpi: Dots per inch.
        width: Width of the figures in inches, e.g. 3.5 for one column of a paper. Their text keeps 7
            points where it fits.
        colormap: The colours of the lower row of fc2_maps: any matplotlib colour map, e.g. jet.
        unit_order: The order of the units in fc2_maps, fc2_map and fc2_means. "number" keeps their
            order in the layer. "class" sorts them by the class for which their mean is highest. The
            order is the same in the maps of all classes.
        output: The folder for the figures.
        data_dir: The path of the run's images, if they have been moved.
    """

    run: Annotated[Path, arg(metavar="RUN")]
    only: Annotated[
        tuple[str, ...],
        arg(
            metavar="GROUP …",
            help=f"Draw only these groups of figures: {', '.join(FIGURE_GROUPS)}. fc2_map:3 draws only "
            "class 3. If the layer before the logits has another name, it replaces fc2.",
            help_behavior_hint="(default: all)",
        ),
    ] = ()
    samples: int = 5_000
    format: Literal["png", "svg", "pdf"] = "png"
    dpi: int = 100
    width: Annotated[
        float | None, arg(metavar="FLOAT", help_behavior_hint="(default: 12, for a screen)")
    ] = None
    colormap: str = "viridis"
    unit_order: Literal["number", "class"] = "number"
    output: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint=f"(default: RUN/{runs.FIGURES})")
    ] = None
    data_dir: Annotated[
        Path | None, arg(metavar="PATH", help_behavior_hint="(default: the path used in training)")
    ] = None

    @property
    def folder(self) -> Path:
        """The folder for the figures."""
        return self.output or self.run / runs.FIGURES

    def check(self) -> None:
        """Raises a ValueError if a number is out of its range."""
        for name, minimum in (("samples", 50), ("dpi", 10), ("width", 2)):
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise ValueError(f"Expected {name} to be at least {minimum}. Received: {value}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. A user error ends it with exit code 2."""
    started = time.perf_counter()
    cli.replace_unprintable()
    try:
        options = cli.parse(Options, arguments, "python -m lenet.visualize", DESCRIPTION)
        groups = _chosen_groups(options)
        data = _read(options)
        from lenet.gallery.writing import drawing_command, write

        for group in groups:
            if options.only and not group.applies(data):
                _warn(f"skipped {group.name}: {data.run.config.model} has no layer of this kind")
        hint = f"To draw everything: {drawing_command(options.run)}" if options.only else ""
        page, made = write(
            data, options.folder, groups, options.format, options.dpi, hint, options.width
        )
    except KeyboardInterrupt:
        print("Interrupted: the figures drawn so far are complete.", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        cli.fail(error)
    names = ", ".join(path.name for path in made)
    count = f"{len(made)} file{'' if len(made) == 1 else 's'}"
    print(textwrap.fill(f"{count} in {options.folder}: {names}", 100))
    print(f"{page}  ({time.perf_counter() - started:.0f} s)")
    return 0


def _chosen_groups(options: Options) -> list[Group]:
    """The chosen groups, after all checks that do not need TensorFlow, which takes seconds to load.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: an option is not one of its choices, or is out of its range.
        OSError: the figures cannot be written.
    """
    options.check()
    config, dataset = runs.read_config(options.run)
    from matplotlib import colormaps

    from lenet.gallery import groups

    if options.colormap not in colormaps:
        raise ValueError(
            "Expected colormap to be a colour map of matplotlib, e.g. viridis, jet, gray. "
            f"Received: colormap={options.colormap!r}"
        )
    chosen = groups.select(options.only, _feature_layer(config.model), dataset["class_names"])
    if options.output is None:
        runs.check_links(options.run)
    files.check_folder(options.folder, "figures", "choose a different folder with --output")
    return chosen


def _feature_layer(model: str) -> str:
    """The name of a network's feature layer. Only a network of one's own needs TensorFlow here."""
    if model in FEATURE_LAYERS:
        return FEATURE_LAYERS[model]
    from lenet.training.runtime import start_tensorflow

    start_tensorflow(lean=True)
    from lenet.networks.architectures import network_class

    return network_class(model).feature_layer


def _read(options: Options) -> RunData:
    """Reads the run and its images."""
    from lenet.training.runtime import start_tensorflow

    print("Loading TensorFlow …", flush=True)
    start_tensorflow(lean=True)
    from lenet.analysis.trained import load_run
    from lenet.gallery.run_data import RunData

    run = load_run(options.run)
    for skipped in run.skipped:
        _warn(f"skipped a damaged checkpoint: {skipped}")
    dataset = run.load_dataset(options.data_dir)
    sort_units = options.unit_order == "class"
    return RunData(run, dataset, options.samples, options.colormap, sort_units, _warn)


def _warn(text: str) -> None:
    print(f"Note: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.run(main)
