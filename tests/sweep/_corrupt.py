"""The damages of every file of a run, for the row `corrupt_files`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from . import Trial, _programs
from ._programs import Damage, Main

FILES = {
    "config.json": "config.json",
    "status.json": "status.json",
    "metrics.csv": "metrics.csv",
    "training events": "train/events.out.*",
    "test events": "test/events.out.*",
    "inspection": "inspections/step-*.npz",
}
JSON_FILES = ("config.json", "status.json", "grid.json")
NESTED = ("dataset", "environment", "options", "combinations", "tuning", "versions")


def damages_of(file: Path, wrong_values: int) -> Iterator[tuple[str, Damage]]:
    """All damages of one file, each with a name.

    Args:
        wrong_values: how many entries of a JSON file get a value of a wrong type.
    """
    yield from _programs.damages().items()
    if file.name not in JSON_FILES:
        return
    yield from _programs.wrong_json().items()
    content = json.loads(file.read_text())
    inner = [f"{name}.{key}" for name in NESTED for key in _keys(content.get(name))]
    changes = [(key, value) for key in [*content, *inner] for value in _programs.WRONG_VALUES]
    random.Random(0).shuffle(changes)
    for key, value in changes[:wrong_values]:
        yield f"{key} = {value!r}", _programs.with_values({key: value})


def _keys(value: object) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def trials(
    folder: Path,
    run: Path,
    main: Main,
    arguments: tuple[str | Path, ...],
    files: dict[str, str],
    wrong_values: int,
) -> Iterator[Trial]:
    """One trial per damage of each file.

    Args:
        folder: for the copies.
        run: an intact run, or an intact folder of a grid.
        main, arguments: the program. "RUN" in its arguments is the damaged copy.
        files: a pattern for each file, by its name in words.
    """
    copy = folder / "copies" / run.name
    for name, pattern in files.items():
        file = sorted(run.glob(pattern))[-1]
        for what, damage in damages_of(file, wrong_values):

            def trial(pattern: str = pattern, damage: Damage = damage) -> None:
                _programs.on_copy(run, copy, pattern, damage)
                filled = [copy if argument == "RUN" else argument for argument in arguments]
                _programs.check(_programs.call(main, *filled), copy.name)

            yield Trial(f"{name}: {what}", trial)
