"""What all command lines use: options from one dataclass, errors in one line, commands to copy."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import io
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from lenet import files, reading, refusals
from lenet.config import TrainConfig
from lenet.option_checks import DATA, NETWORK, TRAINING, in_words

USER_ERROR, UNEXPECTED = 2, 1
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), ". Free some space there."),
    errno.EROFS: ". Make it writable.",
    errno.EIO: ". Check the disk.",
}

# The names of options with an underscore, as errors from Python code contain them.
OPTION_NAMES = re.compile(
    rf"(?<![\w/.-])({'|'.join(o.name for o in dataclasses.fields(TrainConfig) if '_' in o.name)})(?![\w/])"
)

T = TypeVar("T")
Entry = tuple[str, Any, Any]
"""An option's name, its type and its default, as `dataclasses.make_dataclass` takes them."""


def parse_config(
    arguments: Sequence[str] | None, prog: str, description: str, default: TrainConfig
) -> TrainConfig:
    """Reads a TrainConfig from a command line.

    Args:
        arguments: the arguments after the program's name; default: those of this process.
        default: the value of each option that the user does not give.

    Raises:
        ValueError: an option is out of its range.
        SystemExit: `--help` (0), or an option that does not exist or is not of its type (2).
    """
    groups = config_groups(lambda option, hint: entry(option, hint, getattr(default, option.name)))
    return TrainConfig(**parse_groups(arguments, prog, description, groups))


def parse(
    options: type[T],
    arguments: Sequence[str] | None,
    prog: str,
    description: str,
    groups: Collection[type] = (),
) -> T:
    """Reads the options of a program. Those without a default are positional arguments.

    Args:
        options: a dataclass.
        arguments: the arguments after the program's name; default: those of this process.
        groups: the nested dataclasses in `options`, if the options are in these.

    Raises:
        SystemExit: `--help` (0), or an option that does not exist or is not of its type (2).
    """
    import tyro

    arguments = sys.argv[1:] if arguments is None else arguments
    markers = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalRequiredArgs)
    box = io.StringIO()  # tyro prints errors in several lines, in a box.
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(
                options, prog=prog, description=description, args=arguments, config=markers
            )
    except SystemExit as end:
        if end.code != USER_ERROR:
            raise
        frame = str.maketrans(dict.fromkeys("╭╮╰╯─│", " "))
        fail(
            refusals.complaint(arguments, prog, groups or [options])
            or box.getvalue().translate(frame)
        )


class ArgumentParser(argparse.ArgumentParser):
    """A parser of the standard library whose errors are one line too."""

    def error(self, message: str) -> NoReturn:
        fail(f"{message[0].upper()}{message[1:]}. All options: {self.prog} --help")


def parse_groups(
    arguments: Sequence[str] | None, prog: str, description: str, groups: Mapping[str, type]
) -> dict[str, Any]:
    """Reads options from a command line whose `--help` shows them in groups.

    Args:
        arguments: the arguments after the program's name; default: those of this process.
        groups: the title of each group, and a dataclass with its options.

    Returns:
        The value of every option by its name, without the groups.

    Raises:
        SystemExit: `--help` (0), or an option that does not exist or is not of its type (2).
    """
    # tyro shows each nested dataclass as a group with a title.
    fields = [(name, cls, dataclasses.field(default_factory=cls)) for name, cls in groups.items()]
    nested = dataclasses.make_dataclass("Options", fields)
    parsed = parse(nested, arguments, prog, description, groups.values())
    return {name: value for group in groups for name, value in vars(getattr(parsed, group)).items()}


def config_groups(
    make_entry: Callable[[dataclasses.Field[Any], Any], Entry], left_out: Collection[str] = ()
) -> dict[str, type]:
    """The options of TrainConfig as `parse_groups` takes them.

    Args:
        make_entry: returns the command line's entry for an option of TrainConfig and its type;
            see `entry`.
        left_out: the names of the options that are not on this command line.
    """
    hints = get_type_hints(TrainConfig)
    groups: dict[str, list[Entry]] = {}
    for option in dataclasses.fields(TrainConfig):
        if option.name not in left_out:
            made = make_entry(option, hints[option.name])
            groups.setdefault(option.metadata["group"], []).append(made)
    return {name: dataclasses.make_dataclass(name, entries) for name, entries in groups.items()}


def entry(
    option: dataclasses.Field[Any],
    hint: Any,
    default: Any,
    shown_default: str | None = None,
    **argument: Any,
) -> Entry:
    """One option of TrainConfig for the command line, with its help.

    Args:
        hint: the type of its value.
        default: its value if the user does not give one.
        shown_default: the default in words, if it differs from the option's own words.
        argument: further arguments for `tyro.conf.arg`, e.g. `name`, `aliases` or `metavar`.
    """
    import tyro

    shown = shown_default or in_words(default) or option.metadata["shown_default"]
    own = option.metadata["metavar"]
    if own and get_origin(hint) is tuple:
        own += " …"
    argument = {"metavar": own or metavar(hint)} | argument
    if hint is bool:  # Shown as --option, --no-option.
        del argument["metavar"]
    made = tyro.conf.arg(
        help=option.metadata["help"], help_behavior_hint=f"(default: {shown})", **argument
    )
    return option.name, Annotated[hint, made], dataclasses.field(default=default)


def metavar(hint: Any) -> str:
    """The type of a value as `--help` shows it: `{sgd,adam}`, `FLOAT` or `STR …`."""
    if get_origin(hint) is Literal:
        return "{" + ",".join(get_args(hint)) + "}"
    if get_origin(hint) is tuple:
        return f"{metavar(get_args(hint)[0])} …"
    members = [member for member in get_args(hint) if member is not type(None)]
    return "|".join(map(metavar, members)) if members else hint.__name__.upper()


def replace_unprintable() -> None:
    """Lets `print` replace characters that the terminal or file cannot take, instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def fail(message: object) -> NoReturn:
    """Ends the program after a user error, with one line on stderr and exit code 2.

    If the program that reads our output has ended, as in `… | head`, nothing is printed.
    """
    if isinstance(message, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE)
    text = OPTION_NAMES.sub(lambda name: f"--{name[0].replace('_', '-')}", describe(message))
    print(f"Error: {reading.one_line(text)}", file=sys.stderr)
    raise SystemExit(USER_ERROR)


def run(main: Callable[[], int]) -> NoReturn:
    """Runs a program and ends the process with its exit code, also after an unexpected error."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError as error:
        fail(error)
    except Exception as error:
        crash(error)
    raise SystemExit(code)


def crash(error: Exception, folder: Path | None = None) -> NoReturn:
    """Ends the program after an unexpected error, with one line on stderr and exit code 1.

    The line names a file with the details. If the memory was not enough, this is a user error.

    Args:
        folder: where to write the file; default: the system's folder for temporary files.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        fail("There is not enough memory. Try a smaller --batch-size or --image-size.")
    details = "".join(traceback.format_exception(error))
    try:
        path = (folder or Path(tempfile.mkdtemp(prefix="lenet-"))) / files.ERROR
        files.write(path, details)
        where = f"The details are in {path}."
    except OSError as problem:
        where = f"The details cannot be written ({describe(problem)}): {details}"
    reason = reading.one_line(describe(error))
    print(f"Unexpected error: {type(error).__name__}: {reason}. {where}", file=sys.stderr)
    raise SystemExit(UNEXPECTED)


def describe(problem: object) -> str:
    """An error's message. For errors of the system: the file, the reason and often the remedy.

    For errors in a compiled function of TensorFlow: the reason, without the node's traceback.
    """
    if isinstance(problem, OSError) and problem.strerror:
        remedy = REMEDIES.get(problem.errno or 0, "")
        return f"{problem.filename or 'the disk'}: {problem.strerror}{remedy}"
    text = str(problem)
    if text.startswith("Graph execution error") and "[[{{node" in text:
        text = text.split("[[{{node")[0].strip().splitlines()[-1]
    return text.strip()


def tensorboard_command(logdir: Path) -> str:
    """The command that shows a folder in TensorBoard, to be typed in the current folder.

    The command requests all images and histograms, because TensorBoard shows only 10 images and
    500 histograms per tag by default.
    """
    samples = "images=10000,histograms=10000,scalars=100000"
    program = _program("tensorboard")
    return shlex.join([program, "--logdir", str(logdir), "--samples_per_plugin", samples])


def changed(config: TrainConfig, changes: Mapping[str, Any], images: int) -> TrainConfig:
    """A config after some changes, resolved.

    Args:
        changes: new values of options; None means the default. If the activation or the optimizer
            changes, the learning rate becomes the default again.
        images: the number of training images.
    """
    if "activation" in changes or "optimizer" in changes:
        changes = {"learning_rate": None, **changes}
    config = config.with_usual_options(images)
    config = dataclasses.replace(config, **changes).resolved(images)
    if "init" in changes and config.init != "truncated_normal":  # Nothing else has this option.
        config = dataclasses.replace(config, init_stddev=TrainConfig().init_stddev)
    return config


def training_command(config: TrainConfig, changes: Mapping[str, Any], images: int) -> str:
    """The command that trains with a config after some changes, to be typed in the current folder.

    Args:
        changes: see `changed`. The command contains them even if they are the default, except
            None.
        images: the number of training images. The defaults for this number are left out.
    """
    config = changed(config, changes, images)
    always = {"activation", "optimizer", *(name for name in changes if changes[name] is not None)}
    arguments = [python_command(), "-m", "lenet.train"]
    given = config.with_usual_options(images)
    for option in dataclasses.fields(TrainConfig):
        name, value = option.name, getattr(config, option.name)
        if option.metadata["group"] not in (NETWORK, DATA, TRAINING) and name != "logdir":
            continue
        if value is None or (getattr(given, name) == option.default and name not in always):
            continue
        shown = value if isinstance(value, tuple) else () if value is True else (value,)
        arguments.append(f"--{option.name.replace('_', '-')}")
        arguments += [in_words(part) for part in shown]
    return shlex.join(arguments)


def python_command() -> str:
    """The command that starts this Python from the current folder."""
    return _program("python")


def short_path(path: Path) -> str:
    """A path as it is or relative to the current folder, whichever is shorter."""
    return min(os.path.relpath(path), str(path), key=len)


def _program(name: str) -> str:
    """A program of this Python's environment, by name if the shell finds it, otherwise by path."""
    path = Path(sys.executable).parent / name
    on_path = shutil.which(name)
    if not path.exists() or (on_path is not None and Path(on_path) == path):
        return name
    return short_path(path)
