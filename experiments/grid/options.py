"""The grid's command line: TrainConfig's options, those that can be compared as lists."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from experiments.combinations import DEFAULT_LISTS, VARIABLE, as_word, from_word, plural
from lenet.config import TrainConfig

# The grid itself says where each run goes, and what is drawn and printed.
LEFT_OUT = ("run_name", "resume", "figures", "quiet")


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """What a grid is asked for, beside the options of its runs.

    Attributes:
        lists: the values of each option that can be compared.
        shared: the options that hold for all runs.
        workers: processes; None for as many as there are processors.
    """

    lists: dict[str, tuple[Any, ...]]
    shared: TrainConfig
    name: str
    tune: bool
    workers: int | None
    dashboard: bool
    scheduler: str | None
    tls_ca_file: Path | None
    tls_cert: Path | None
    tls_key: Path | None


@dataclass(frozen=True, kw_only=True)
class _Grid:
    # The lines under the options are what `--help` shows.
    name: str = "grid"
    """The grid's folder inside --logdir. The same command again finishes what is not done."""
    tune: bool = False
    """First try five learning rates for each combination, on validation images taken from the training images, and train with the best."""
    workers: Literal["auto"] | int = "auto"
    """Processes that train side by side; auto: one per processor; 0: one run after the other in this process. They change the speed, never the bits."""
    dashboard: bool = False
    """Show Dask's dashboard on http://127.0.0.1:8787 (needs the package bokeh)."""
    scheduler: str | None = None
    """The address tls://… of a running Dask scheduler to use instead. Its workers must have this package, one thread each, and share --logdir and --data-dir."""
    tls_ca_file: Path | None = None
    """For --scheduler: the certificate of the authority."""
    tls_cert: Path | None = None
    """For --scheduler: the certificate of this client."""
    tls_key: Path | None = None
    """For --scheduler: the key of this client."""


def parse(arguments: Sequence[str], prog: str, description: str) -> GridOptions:
    """Reads a grid's options from a command line.

    Raises:
        ValueError: options are out of their range or do not go together.
        SystemExit: `--help` (0), or an option that does not exist or is not of its type (2).
    """
    import tyro

    parsed = tyro.cli(
        _options_class(),
        prog=prog,
        description=description,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    values = {
        name: value
        for group in dataclasses.fields(parsed)
        for name, value in vars(getattr(parsed, group.name)).items()
    }
    lists = {name: values.pop(name) for name in VARIABLE}
    lists["augment"] = tuple(map(from_word, lists["augment"]))
    grid = {f.name: values.pop(f.name) for f in dataclasses.fields(_Grid)}
    grid["workers"] = None if grid["workers"] == "auto" else grid["workers"]
    shared = TrainConfig(**values, figures=False, quiet=True)
    options = GridOptions(lists=lists, shared=shared, **grid)
    _check(options)
    return options


def _options_class() -> Any:
    """A class with one nested dataclass per group of options, of which tyro makes titled groups."""
    hints = get_type_hints(TrainConfig)
    groups: dict[str, list[tuple[str, Any, Any]]] = {}
    for option in dataclasses.fields(TrainConfig):
        if option.name in LEFT_OUT:
            continue
        entry = _list_entry if option.name in VARIABLE else _single_entry
        groups.setdefault(option.metadata["group"], []).append(entry(option, hints[option.name]))
    made = {name: dataclasses.make_dataclass(name, entries) for name, entries in groups.items()}
    classes = {"grid": _Grid, **made}
    return dataclasses.make_dataclass(
        "Options",
        [(name, cls, field(default_factory=cls)) for name, cls in classes.items()],
    )


def _single_entry(option: dataclasses.Field[Any], hint: Any) -> tuple[str, Any, Any]:
    import tyro

    shown = option.metadata["shown_default"] or str(option.default)
    argument = tyro.conf.arg(help=option.metadata["help"], help_behavior_hint=f"(default: {shown})")
    return option.name, Annotated[hint, argument], field(default=option.default)


def _list_entry(option: dataclasses.Field[Any], hint: Any) -> tuple[str, Any, Any]:
    import tyro

    values = DEFAULT_LISTS.get(option.name, (option.default,))
    if isinstance(option.default, tuple):
        values, hint = (as_word(option.default),), str
    shown = " ".join(map(str, values))
    if values == (None,):
        shown = option.metadata["shown_default"]
    name = plural(option.name)
    argument = tyro.conf.arg(
        name=name,
        aliases=[f"--{option.name.replace('_', '-')}"] if name != option.name else None,
        metavar="WORD+WORD …" if hint is str else f"{_metavar(hint)} …",
        help=option.metadata["help"],
        help_behavior_hint=f"(default: {shown})",
    )
    return option.name, Annotated[tuple[hint, ...], argument], field(default=values)


def _metavar(hint: Any) -> str:
    """What one value may be: `{sgd,adam}` or `FLOAT`."""
    if get_origin(hint) is Literal:
        return "{" + ",".join(get_args(hint)) + "}"
    members = [member for member in get_args(hint) if member is not type(None)]
    return _metavar(members[0]) if members else hint.__name__.upper()


def _check(options: GridOptions) -> None:
    """Refuses what does not go together."""
    if options.name != Path(options.name).name or options.name in ("", ".", ".."):
        raise ValueError(
            "Expected --name to be the name of one folder, without slashes. "
            f"Received: {options.name!r}"
        )
    if options.workers is not None and options.workers < 0:
        raise ValueError(f"Expected --workers auto, 0 or more. Received: {options.workers}")
    if options.dashboard and importlib.util.find_spec("bokeh") is None:
        raise ValueError("--dashboard needs one more package: pip install bokeh")
    if options.tune and options.lists["learning_rate"] != (None,):
        raise ValueError("Expected either --tune or --learning-rates, not both.")
    files = {
        "--tls-ca-file": options.tls_ca_file,
        "--tls-cert": options.tls_cert,
        "--tls-key": options.tls_key,
    }
    if options.scheduler is None:
        given = [name for name, path in files.items() if path is not None]
        if given:
            raise ValueError(f"Expected --scheduler beside {', '.join(given)}.")
        return
    if not options.scheduler.startswith("tls://"):
        raise ValueError(
            "Expected --scheduler to be an address tls://host:port: without TLS anybody on the "
            f"network could run programs here. Received: {options.scheduler!r}"
        )
    for name, path in files.items():
        if path is None or not path.is_file():
            raise ValueError(f"Expected {name} with --scheduler to be a file. Received: {path}")
