"""The properties of an option: its group in `--help`, its valid values, its text, and more."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

NETWORK, DATA, TRAINING, RUN, LOGGING, MACHINE = (
    "network",
    "data",
    "training",
    "run",
    "logging",
    "machine",
)

OnResume = Literal["fixed", "free", "may grow"]
"""Whether a resume must keep an option, may change it, or may only increase it."""


@dataclass(frozen=True)
class Check:
    """A condition that an option's value must meet.

    Attributes:
        expected: the condition in words, as in "Expected epochs to be …".
        holds: returns whether a value meets it.
    """

    expected: str
    holds: Callable[[Any], bool]


def at_least(minimum: int) -> Check:
    """The check for a whole number with a minimum."""
    return Check(
        f"a whole number of at least {minimum}",
        lambda value: isinstance(value, int) and value >= minimum,
    )


LARGEST_NUMBER = 2**63
LARGEST_FLOAT = 2.0**128  # Of float32, in which the networks compute.
FINITE = Check("a finite number", lambda value: isinstance(value, Real) and math.isfinite(value))
POSITIVE = Check(
    f"a number above 0 and below {LARGEST_FLOAT:.1g}",
    lambda value: FINITE.holds(value) and 0 < value < LARGEST_FLOAT,
)
NOT_NEGATIVE = Check(
    "a finite number of at least 0", lambda value: FINITE.holds(value) and value >= 0
)
FRACTION = Check("a number between 0 and 1", lambda value: FINITE.holds(value) and 0 < value < 1)
DROPOUT_RATE = Check("from 0 to less than 1", lambda value: FINITE.holds(value) and 0 <= value < 1)
FOLDER_NAME = Check(
    "the name of one folder, without slashes",
    lambda value: value == Path(value).name and value not in ("", ".", "..") and "\0" not in value,
)

DEVICE = Check(
    "auto, cpu, gpu, or the number of a GPU as in gpu:1",
    lambda value: re.fullmatch(r"auto|cpu|gpu(:\d+)?", value) is not None,
)


def option(
    default: Any,
    group: str,
    help: str,
    *,
    shown_default: str = "",
    check: Check | None = None,
    on_resume: OnResume = "fixed",
    metavar: str = "",
) -> Any:
    """Creates a dataclass field for an option, with all its properties.

    Args:
        group: the option's group in `--help`.
        help: the help text.
        shown_default: the default in words, for an option whose default is None or ().
        check: the condition on its value. The choices of a Literal type need no check.
        metavar: how `--help` shows the value, if its type alone does not tell.
        on_resume: "free" only if a different value does not change the weights.
    """
    return field(
        default=default,
        metadata={
            "group": group,
            "help": help,
            "shown_default": shown_default,
            "check": check,
            "on_resume": on_resume,
            "metavar": metavar,
        },
    )


def check_option(option: Field[Any], hint: Any, value: Any) -> None:
    """Checks one option's value.

    Args:
        hint: the option's type.

    Raises:
        ValueError: the value is not one of the choices, or not in the valid range.
    """
    if value is None and type(None) in get_args(hint):
        return
    for alternative in alternatives(hint):
        if get_origin(alternative) is Literal:
            choices = get_args(alternative)
            expected = f"one of {', '.join(choices)}"
            for chosen in value if isinstance(value, tuple) else (value,):
                expect(option.name, expected, chosen, chosen in choices)
    check: Check | None = option.metadata["check"]
    if check is not None:
        expect(option.name, check.expected, value, check.holds(value))


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has an option's type. Its range is not checked."""
    origin, members = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, type(members[0]))
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(part, members[0]) for part in value)
    if members:
        return any(fits(value, member) for member in members)
    if hint in (int, float):
        is_number = isinstance(value, (int, hint)) and not isinstance(value, bool)
        return is_number and abs(value) < (LARGEST_FLOAT if hint is float else LARGEST_NUMBER)
    return isinstance(value, hint)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union or tuple type. For any other type, the type itself."""
    return get_args(hint) if get_origin(hint) is not Literal and get_args(hint) else (hint,)


def in_words(value: Any) -> str:
    """An option's value as a user reads it; "" if it is not set."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def with_exceptions(usual: Any, exceptions: Mapping[str, Any]) -> str:
    """A default with its exceptions, e.g. "0; 0.5 with conv3 and conv4".

    Args:
        exceptions: the default in each special case, by the name of the case. Defaults equal to
            `usual` are left out.
    """
    names: dict[Any, list[str]] = {}
    for name, value in exceptions.items():
        if value != usual:
            names.setdefault(value, []).append(name)
    differing = [f"{in_words(value)} with {join(names[value])}" for value in names]
    return "; ".join([in_words(usual), *differing])


def join(names: Sequence[str]) -> str:
    """Names as a list in a sentence: "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def expect(name: str, expected: str, received: Any, valid: bool) -> None:
    """Raises a ValueError that names a value, what it should be, and what it is."""
    if not valid:
        raise ValueError(
            f"Expected {name} to be {expected}. Received: {name}={_REPR.repr(received)}"
        )


# A value from a damaged file may be very long.
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 200
