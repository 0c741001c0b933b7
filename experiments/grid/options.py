"""The command line of the grid: the options of TrainConfig, some of them with several values."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from experiments.combinations import DEFAULT_LISTS, VARIABLE, as_word, from_word, plural
from lenet import cli
from lenet.config import TrainConfig
from lenet.option_checks import FOLDER_NAME, option

# The grid itself decides where each run is written, and what is drawn and printed.
LEFT_OUT = ("run_name", "resume", "like", "figures", "quiet")
GRID = "grid"


@dataclass(frozen=True, kw_only=True)
class GridOnly:
    """The options that only a grid has.

    Attributes:
        workers: the number of processes.
    """

    name: str = option(
        "grid",
        GRID,
        "The grid's folder inside --logdir. The same command with the same name continues the grid.",
    )
    tune: bool = option(
        False,
        GRID,
        "First try five learning rates for each combination, on validation images taken from the "
        "training images. Then train with the best one.",
    )
    workers: Literal["auto"] | int = option(
        "auto",
        GRID,
        "Number of processes that train in parallel; auto: one per processor; 0: train one run "
        "after the other in this process. The number of workers does not change the weights.",
    )
    dashboard: bool = option(
        False, GRID, "Show Dask's dashboard on http://127.0.0.1:8787 (needs the package bokeh)."
    )
    scheduler: str | None = option(
        None,
        GRID,
        "Use the running Dask scheduler at this address, tls://host:port. Its workers must share "
        "--logdir and --data-dir. docs/cluster.md explains how to start them.",
        shown_default="none",
    )
    tls_ca_file: Path | None = option(
        None,
        GRID,
        "For --scheduler: the certificate of the certificate authority (CA).",
        shown_default="none",
    )
    tls_cert: Path | None = option(
        None, GRID, "For --scheduler: this client's certificate.", shown_default="none"
    )
    tls_key: Path | None = option(
        None, GRID, "For --scheduler: this client's key.", shown_default="none"
    )


@dataclass(frozen=True, kw_only=True)
class GridOptions(GridOnly):
    """All options of a grid.

    Attributes:
        lists: the values of each option that can be compared.
        shared: the options that are the same for all runs.
    """

    lists: dict[str, tuple[Any, ...]]
    shared: TrainConfig


def parse(arguments: Sequence[str], prog: str, description: str) -> GridOptions:
    """Reads a grid's options from a command line.

    Raises:
        ValueError: options are out of their range or cannot be combined.
        SystemExit: `--help` (0), or an option that does not exist or has the wrong type (2).
    """
    hints, own = get_type_hints(GridOnly), dataclasses.fields(GridOnly)
    entries = [cli.entry(f, hints[f.name], f.default) for f in own]
    groups = {GRID: dataclasses.make_dataclass(GRID, entries)}
    groups |= cli.config_groups(_entry, LEFT_OUT)
    values = cli.parse_groups(arguments, prog, description, groups)
    grid = {f.name: values.pop(f.name) for f in own}
    lists = {name: values.pop(name) for name in VARIABLE}
    lists["augment"] = tuple(map(from_word, lists["augment"]))
    shared = TrainConfig(**values, figures=False, quiet=True)
    chosen = GridOptions(lists=lists, shared=shared, **grid)
    _check(chosen)
    return chosen


def _entry(option: dataclasses.Field[Any], hint: Any) -> cli.Entry:
    """An option of TrainConfig. If it can be compared, it takes a list and has a plural name."""
    if option.name not in VARIABLE:
        return cli.entry(option, hint, option.default)
    values = DEFAULT_LISTS.get(option.name, (option.default,))
    more: dict[str, Any] = {}
    if plural(option.name) != option.name:
        singular = f"--{option.name.replace('_', '-')}"
        more |= {"name": plural(option.name), "aliases": [singular]}
    if isinstance(option.default, tuple):  # A list of lists, with one word for each inner list.
        hint, values = str, (as_word(option.default),)
        more["metavar"] = "{none,shift,shift+flip,…} …"
    if values == (None,):
        more["shown_default"] = option.metadata["shown_default"]
    return cli.entry(option, tuple[hint, ...], values, **more)


def _check(chosen: GridOptions) -> None:
    """Rejects values out of range and options that cannot be combined."""
    if not FOLDER_NAME.holds(chosen.name):
        raise ValueError(f"Expected --name to be {FOLDER_NAME.expected}. Received: {chosen.name!r}")
    if chosen.workers != "auto" and chosen.workers < 0:
        raise ValueError(f"Expected --workers to be auto, 0 or more. Received: {chosen.workers}")
    if chosen.dashboard and importlib.util.find_spec("bokeh") is None:
        raise ValueError("--dashboard needs one more package: pip install bokeh")
    if chosen.tune and chosen.lists["learning_rate"] != (None,):
        raise ValueError("Expected either --tune or --learning-rates, not both.")
    _check_scheduler(chosen)


def _check_scheduler(chosen: GridOptions) -> None:
    files = {
        "--tls-ca-file": chosen.tls_ca_file,
        "--tls-cert": chosen.tls_cert,
        "--tls-key": chosen.tls_key,
    }
    if chosen.scheduler is None:
        given = [name for name, path in files.items() if path is not None]
        if given:
            raise ValueError(f"Expected --scheduler together with {', '.join(given)}.")
        return
    if not chosen.scheduler.startswith("tls://"):
        raise ValueError(
            "Expected --scheduler to be an address tls://host:port, because without TLS everyone "
            f"on the network could run programs here. Received: {chosen.scheduler!r}"
        )
    for name, path in files.items():
        if path is None or not path.is_file():
            raise ValueError(f"Expected {name} with --scheduler to be a file. Received: {path}")
