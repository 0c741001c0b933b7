"""What the command lines share: options from the one dataclass, and errors in one line."""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_type_hints

from lenet.config import DATA, NETWORK, TRAINING, TrainConfig

USER_ERROR = 2


def parse_config(
    arguments: Sequence[str] | None, prog: str, description: str, default: TrainConfig
) -> TrainConfig:
    """Reads a TrainConfig from a command line.

    Args:
        arguments: the words after the program's name; default those of this process.
        default: what holds where the user says nothing.

    Raises:
        ValueError: an option is out of its range.
        SystemExit: `--help` (0), or an option that does not exist or is not of its type (2).
    """
    import tyro

    # tyro makes a titled group of each nested dataclass: the flat config becomes one per group
    # for the parser's eyes, and flat again afterwards.
    hints = get_type_hints(TrainConfig)
    groups: dict[str, list[tuple[str, Any, Any]]] = {}
    for option in dataclasses.fields(TrainConfig):
        value = getattr(default, option.name)
        hint = option.metadata["shown_default"] if value is None else str(value)
        argument = tyro.conf.arg(
            help=option.metadata["help"], help_behavior_hint=f"(default: {hint})"
        )
        entry = (
            option.name,
            Annotated[hints[option.name], argument],
            dataclasses.field(default=value),
        )
        groups.setdefault(option.metadata["group"], []).append(entry)
    outer = dataclasses.make_dataclass(
        "Options",
        [
            (
                name,
                made := dataclasses.make_dataclass(name, entries),
                dataclasses.field(default_factory=made),
            )
            for name, entries in groups.items()
        ],
    )
    parsed = tyro.cli(
        outer,
        prog=prog,
        description=description,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    values = {
        name: value for group in groups for name, value in vars(getattr(parsed, group)).items()
    }
    return TrainConfig(**values)


def fail(message: object) -> NoReturn:
    """Ends the program because of a user's mistake: one line on stderr, exit code 2.

    That nobody reads what is printed any more, as behind `| head`, needs no line.
    """
    if isinstance(message, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE)
    print(f"Error: {' '.join(describe(message).split())}", file=sys.stderr)
    raise SystemExit(USER_ERROR)


def describe(problem: object) -> str:
    """An error's message; of the system's errors, what file and what was wrong with it."""
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename or 'the disk'}: {problem.strerror}"
    return str(problem)


def tensorboard_command(logdir: Path) -> str:
    """The command that shows every picture and histogram of a folder, as it can be typed here.

    TensorBoard shows 10 pictures and 500 histograms per tag unless told otherwise.
    """
    samples = "images=10000,histograms=10000,scalars=100000"
    words = [_program("tensorboard"), "--logdir", str(logdir), "--samples_per_plugin", samples]
    return shlex.join(words)


def training_command(config: TrainConfig, changes: Mapping[str, Any], dataset_name: str) -> str:
    """The command that trains as a config says, with some changes, as it can be typed here.

    Args:
        changes: other values of options; named even where they are the default, but for None,
            which stands for the default.
        dataset_name: of the images, whose defaults need not be repeated.
    """
    config = dataclasses.replace(config, **changes).resolved(dataset_name)
    always = {"activation", "optimizer", *(name for name in changes if changes[name] is not None)}
    words = [python_command(), "-m", "lenet.train"]
    usual = TrainConfig(
        model=config.model,
        activation=config.activation,
        optimizer=config.optimizer,
        init=config.init,
    ).resolved(dataset_name)
    usual = dataclasses.replace(usual, model=TrainConfig().model)
    for option in dataclasses.fields(TrainConfig):
        value = getattr(config, option.name)
        if option.metadata["group"] not in (NETWORK, DATA, TRAINING):
            continue
        if value is None or (value == getattr(usual, option.name) and option.name not in always):
            continue
        shown = value if isinstance(value, tuple) else () if value is True else (value,)
        words.append(f"--{option.name.replace('_', '-')}")
        words += [f"{part:g}" if isinstance(part, float) else str(part) for part in shown]
    return shlex.join(words)


def python_command() -> str:
    """How this Python can be typed here."""
    return _program("python")


def short_path(path: Path) -> str:
    """The shorter of a path as it is and the same path from the current folder."""
    return min(os.path.relpath(path), str(path), key=len)


def _program(name: str) -> str:
    """A program of this Python's environment: its name where that finds it, or else its path."""
    beside = Path(sys.executable).parent / name
    on_path = shutil.which(name)
    if not beside.exists() or (on_path is not None and Path(on_path) == beside):
        return name
    return short_path(beside)
