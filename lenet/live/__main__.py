"""`python -m lenet.live RUN …`: a page on which you draw, and see your own network answer."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from lenet import cli, files
from lenet.live.size import FEWEST_STEPS
from lenet.recording import runs

DESCRIPTION = (
    "Writes one page, live.html, and opens it. On the page you draw a digit and see, layer by "
    "layer, how your own trained network answers it, at any recorded moment of its training. With "
    "several runs, you see their answers next to each other. The page works without a network "
    "connection."
)
PAGE = "live.html"
MAXIMUM_RUNS = 12
WHAT, REMEDY = "the page", "choose a different file with --output"


@dataclass(frozen=True)
class Options:
    """The options of `lenet.live`.

    Attributes:
        runs: The folders of one or more runs on the same images, or the folder of a grid.
        output: The file for the page.
        moments: Maximum number of recorded steps of each run that the page contains. They are
            spread evenly from the first to the last.
        max_size: Maximum size of the page in MB. If it is reached, the page contains fewer recorded
            steps. If the first and the last one of a large network do not fit, its weights are
            rounded to 16 bits.
        data_dir: The path of the run's images, if they have been moved.
        open: Open the page in the browser.
    """

    runs: Annotated[tuple[Path, ...], arg(metavar="RUN …", help_behavior_hint="(required)")]
    output: Annotated[
        Path | None,
        arg(
            metavar="FILE",
            help_behavior_hint=f"(default: {PAGE} in the run's folder, or with several runs in the "
            "folder that contains the first)",
        ),
    ] = None
    moments: int = 16
    max_size: Annotated[float, arg(metavar="MB")] = 30
    data_dir: Annotated[
        Path | None, arg(metavar="PATH", help_behavior_hint="(default: the path used in training)")
    ] = None
    open: bool = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. A user error ends it with exit code 2."""
    try:
        options = cli.parse(Options, arguments, "python -m lenet.live", DESCRIPTION)
        target, notes = write_page(options)
    except KeyboardInterrupt:
        print("Interrupted. No page was written.", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        cli.fail(error)
    size = target.stat().st_size / 1e6
    for note in notes:
        print(note)
    if size > options.max_size:
        print(
            f"The page is larger than {options.max_size:g} MB, because it contains at least "
            f"{FEWEST_STEPS} steps of each run. A browser may need some seconds to open it."
        )
    print(f"Page  {target}  ({size:.1f} MB)")
    if options.open and not webbrowser.open(target.resolve().as_uri()):
        print("No browser was found. Open the page yourself.")
    return 0


def write_page(options: Options) -> tuple[Path, list[str]]:
    """Writes the page of one or more runs.

    Returns:
        The file of the page, and what it does not contain of the runs, as sentences.

    Raises:
        FileNotFoundError: there is no run, or its images are not there.
        ValueError: an option or a run cannot be used; the message says why.
        OSError: the page cannot be written.
    """
    if options.moments < FEWEST_STEPS:
        raise ValueError(
            f"Expected moments to be at least {FEWEST_STEPS}. Received: {options.moments}"
        )
    if not options.max_size > 0:
        raise ValueError(f"Expected max_size to be more than 0. Received: {options.max_size}")
    paths = chosen_runs(options.runs)
    target = options.output or _default_target(options.runs)
    files.check_folder(target.parent, WHAT, REMEDY)
    from lenet.training.runtime import start_tensorflow

    print("Loading TensorFlow …", flush=True)
    start_tensorflow(lean=True)
    from lenet.live.export import read_content
    from lenet.live.page import render

    content = read_content(paths, options.moments, options.max_size, options.data_dir)
    files.make_folder(target.parent, WHAT, REMEDY)
    files.write(target, render(content))
    return target, content.notes


def chosen_runs(folders: Sequence[Path]) -> list[Path]:
    """The runs that the user named. From the folder of a grid, one run of each combination.

    Raises:
        FileNotFoundError: a folder contains no run.
        ValueError: a run's config.json is damaged, or there are no or too many runs.
    """
    if not folders:
        raise ValueError("RUN is missing. Expected: python -m lenet.live RUN …")
    paths: list[Path] = []
    for folder in folders:
        inside = sorted(folder.glob(f"*/{runs.CONFIG}"))
        if (folder / runs.CONFIG).is_file() or not inside:
            runs.read_config(folder)
            paths.append(folder)
        else:
            paths += _one_of_each_combination([file.parent for file in inside])
    if len(paths) > MAXIMUM_RUNS:
        raise ValueError(
            f"Expected at most {MAXIMUM_RUNS} runs. Received: {len(paths)}. Name the runs that you "
            "want to see, e.g. with a pattern: summary_logs/<grid>/relu-*-seed0"
        )
    return list(dict.fromkeys(paths))


def _one_of_each_combination(paths: Sequence[Path]) -> list[Path]:
    """The runs with the lowest seed among those that have a checkpoint."""
    with_weights = [path for path in paths if (path / runs.CHECKPOINTS).is_dir()]
    seeds = {path: runs.read_config(path)[0].seed for path in with_weights or paths}
    return [path for path, seed in seeds.items() if seed == min(seeds.values())]


def _default_target(folders: Sequence[Path]) -> Path:
    folder = folders[0] if len(folders) == 1 else folders[0].absolute().parent
    return folder / PAGE


if __name__ == "__main__":
    cli.run(main)
