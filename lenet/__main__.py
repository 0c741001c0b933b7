"""`python -m lenet`, or the command `lenet` after `pip install .`: lists and starts the programs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from lenet import cli, refusals

# The program's module and what it does.
PROGRAMS = {
    "train": ("lenet.train", "train one network, and record for TensorBoard how it learns"),
    "visualize": ("lenet.visualize", "draw all figures of a run, on one page"),
    "explain": ("lenet.explain", "show what each layer computes from your own image"),
    "live": ("lenet.live.__main__", "write a page on which you draw, and the network answers"),
    "export": ("lenet.export", "save a trained network for other programs"),
    "grid": ("experiments.grid.__main__", "train every combination of options, and compare them"),
    "report": ("experiments.report.__main__", "write a page that compares all runs of a folder"),
    "bench": ("experiments.bench.__main__", "compare the speed with other ways to train"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program that the first argument names, with the other arguments.

    Returns:
        Its exit code; 0 for the list of programs.

    Raises:
        SystemExit: after a user error (exit code 2).
    """
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments), ""]
    if name in ("", "-h", "--help"):
        print(overview())
        return 0
    if name not in PROGRAMS:
        hint = refusals.did_you_mean(name, PROGRAMS)
        cli.fail(f"Expected a command: {', '.join(PROGRAMS)}. Received: {name}{hint}")
    return importlib.import_module(PROGRAMS[name][0]).main(rest[:-1])


def overview() -> str:
    """The programs and what they do, one per line."""
    lines = [f"  {name:<10} {purpose}" for name, (_, purpose) in PROGRAMS.items()]
    return "\n".join(
        ["Usage: lenet COMMAND [options]", "", *lines, "", "Options: lenet COMMAND --help"]
    )


if __name__ == "__main__":
    cli.run(main)
