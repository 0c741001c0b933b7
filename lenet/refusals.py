"""Says in one sentence what is wrong with a command line, and how to correct it."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

# What other programs call our options.
OTHER_NAMES = {
    "lr": "learning-rate",
    "patience": "early-stopping",
    "clipnorm": "clip-norm",
    "grad-clip": "clip-norm",
    "wd": "weight-decay",
    "val-split": "validation-fraction",
    "validation-split": "validation-fraction",
    "dropout": "fc-dropout",
    "batch": "batch-size",
    "bs": "batch-size",
    "epoch": "epochs",
    "steps": "max-steps",
    "data": "data-dir",
    "output": "logdir",
    "log-dir": "logdir",
    "name": "run-name",
    "opt": "optimizer",
    "act": "activation",
    "log-images": "inspect-every",
}


def complaint(arguments: Sequence[str], prog: str, options: Iterable[type]) -> str:
    """The first thing that is wrong with a command line.

    Args:
        arguments: the words after the program's name.
        prog: the program, e.g. "python -m lenet.train".
        options: dataclasses with the program's options. One without a default is positional.

    Returns:
        A sentence with the remedy, or "" if nothing wrong is found.
    """
    flags, positional = _expected(options)
    words, given = [], list(arguments)
    while given:
        argument = given.pop(0)
        if not argument.startswith("--"):
            words.append(argument)
            continue
        flag, equals, value = argument.partition("=")
        flag = flag.replace("_", "-")
        if flag not in flags:
            return f"There is no option {flag}{_other_name(flag, flags, prog)}"
        hint = flags[flag]
        values = [value] if equals else _values(given, hint)
        if hint is not bool and not values and get_origin(hint) is not tuple:
            return f"Expected {flag} to be {_kind(hint)}. Received nothing after it."
        for value in values:
            if not _fits(hint, value):
                return _wrong(flag, hint, value, prog)
    names = [name.removesuffix(" …") for name in positional]
    if len(words) < len(names):
        return f"{names[len(words)]} is missing. Expected: {prog} {' '.join(names)}"
    if len(words) > len(names) and not any(map(_is_tuple, positional.values())):
        expected = f"{' '.join(names)} and options" if names else "options"
        return f"Expected only {expected} that begin with --. Received: {words[len(names)]}"
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the most similar known word, e.g. ". Did you mean kernels?", or ""."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {close[0]}?" if close else ""


def _expected(options: Iterable[type]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The type of the values of each flag, and of each positional argument by its name in `--help`."""
    flags: dict[str, Any] = {}
    positional: dict[str, Any] = {}
    for each in options:
        hints = get_type_hints(each, include_extras=True)
        for field in dataclasses.fields(each):
            hint = hints[field.name]
            hint, *made = get_args(hint) if get_origin(hint) is Annotated else (hint,)
            if field.default is field.default_factory:  # Both are missing.
                positional[next((m.metavar for m in made if m.metavar), field.name.upper())] = hint
                continue
            names = [next((m.name for m in made if m.name), field.name)]
            names += [alias for m in made for alias in m.aliases or ()]
            for name in names:
                name = name.removeprefix("--").replace("_", "-")
                flags[f"--{name}"] = hint
                if hint is bool:
                    flags[f"--no-{name}"] = hint
    return flags, positional


def _other_name(flag: str, flags: Mapping[str, Any], prog: str) -> str:
    """The option that was probably meant, or where all options are."""
    ours = f"--{OTHER_NAMES.get(flag.removeprefix('--'), '')}"
    if ours in flags:
        return f". Did you mean {ours}?"
    return did_you_mean(flag, flags) or f". All options: {prog} --help"


def _values(given: list[str], hint: Any) -> list[str]:
    """Takes the values of an option from the words after it."""
    values: list[str] = []
    most = 0 if hint is bool else len(given) if _is_tuple(hint) else 1
    while given and len(values) < most and not given[0].startswith("--"):
        values.append(given.pop(0))
    return values


def _is_tuple(hint: Any) -> bool:
    return get_origin(hint) is tuple


def _fits(hint: Any, word: str) -> bool:
    """Whether a word is a value of a type."""
    if _is_tuple(hint):
        return _fits(get_args(hint)[0], word)
    if get_origin(hint) is Literal:
        return word in map(str, get_args(hint))
    if members := get_args(hint):
        return any(_fits(member, word) for member in members)
    if hint is type(None):
        return word == "None"
    if hint in (int, float):
        try:
            hint(word)
        except ValueError:
            return False
    return True


def _wrong(flag: str, hint: Any, word: str, prog: str) -> str:
    """The sentence about a value that does not fit."""
    choices = _choices(hint)
    more = "" if choices else f". More about it: {prog} --help"
    remedy = _in_inches(flag, word) or did_you_mean(word, choices) or more
    each = "each value of " if _is_tuple(hint) else ""
    return f"Expected {each}{flag} to be {_kind(hint)}. Received: {word}{remedy}"


def _in_inches(flag: str, word: str) -> str:
    """For a width with another unit: the same width in inches; otherwise ""."""
    length = re.fullmatch(r"(\d+(?:\.\d+)?) ?(cm|mm|in)", word) if flag == "--width" else None
    if length is None:
        return ""
    inches = float(length[1]) / {"cm": 2.54, "mm": 25.4, "in": 1}[length[2]]
    return f". The unit is inches: {flag} {inches:.3g}"


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return list(map(str, get_args(hint)))
    return [choice for member in get_args(hint) for choice in _choices(member)]


def _kind(hint: Any) -> str:
    """The values of a type in words."""
    if _is_tuple(hint):
        return _kind(get_args(hint)[0])
    if get_origin(hint) is Literal:
        choices = list(map(str, get_args(hint)))
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if members := get_args(hint):
        return " or ".join(_kind(member) for member in members if member is not type(None))
    return {int: "a whole number", float: "a number", str: "a word"}.get(hint, "a path")
