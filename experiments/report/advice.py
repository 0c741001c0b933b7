"""What a report advises: the outcome of what the study has tried, commands for what it has not."""

from __future__ import annotations

import itertools
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.combinations import VARIABLE, as_word
from experiments.report.data import TUNING, Combination, Comparison, Run
from experiments.report.statistics import accuracy_text
from lenet import cli, registry
from lenet.config import TrainConfig
from lenet.diagnosis import Advice

MOST_COMMANDS = 2  # On one card, without the one for --tune.
MORE_SEEDS = 3


@dataclass(frozen=True)
class Suggestion:
    """One thing to try.

    Attributes:
        words: what to try and why.
        outcome: what it has reached in this study, or "" if it was not tried.
        label, target: the combination that tried it, and the id of its card; or "".
        command: how to try it; "" if it was tried.
    """

    words: str
    outcome: str = ""
    label: str = ""
    target: str = ""
    command: str = ""


def suggestions(
    comparison: Comparison, run: Run, advice: Sequence[Advice], tune: bool
) -> list[Suggestion]:
    """What the study knows about each piece of advice for a run: first what it has tried.

    Args:
        tune: whether another learning rate may help.
    """
    tried, commands = [], []
    for piece in sorted(advice, key=lambda piece: bool(piece.changes)):  # To continue comes first.
        if not piece.changes:
            commands.append(Suggestion(piece.words, command=_continuing(comparison, run)))
        elif known := _tried(comparison, run, piece) or _tuned_rate(comparison, run, piece):
            tried.append(known)
        else:
            commands.append(Suggestion(piece.words, command=train_command(comparison, run, piece)))
    commands = commands[:MOST_COMMANDS]
    if tune and not comparison.grid.get(TUNING):
        words = "Choose the learning rate of this combination on validation images"
        commands.append(Suggestion(words, command=tune_command(comparison, run)))
    return [*tried, *commands]


def card_id(combination: Combination) -> str:
    """The id of a combination's card in the page."""
    return f"c{combination.number}"


def train_command(comparison: Comparison, run: Run, piece: Advice) -> str:
    """The command that trains with a piece of advice, in the folders that the user gave."""
    changes = {**piece.changes, **_images(comparison, run)}
    config = _as_given(comparison, run.config)
    command = cli.training_command(config, changes, run.training_images)
    return " ".join([command, *_logdir(comparison)])


def tune_command(comparison: Comparison, run: Run) -> str:
    """The command of a grid that chooses a learning rate for one combination, and trains it."""
    changes = {"learning_rate": None, "seed": 0, **_images(comparison, run)}
    config = _as_given(comparison, run.config)
    words = shlex.split(cli.training_command(config, changes, run.training_images))
    words[words.index("lenet.train")] = "experiments.grid"
    cut = words.index("--seed")
    words[cut : cut + 2] = ["--seeds", *map(str, comparison.seeds)]
    if run.config.augment:
        cut = words.index("--augment") + 1
        words[cut : cut + len(run.config.augment)] = [as_word(run.config.augment)]
    words += ["--tune", "--name", f"{_name(comparison)}-tuned"]
    return " ".join([shlex.join(words), *_logdir(comparison)])


def tune_all_command(comparison: Comparison) -> str:
    """The grid's own command with `--tune`, for a folder of its own; "" without a grid."""
    words = command_words(comparison)
    if not words:
        return ""
    words = _with(words, ["--learning-rates", "--learning-rate"])  # Tuning chooses them.
    words = _with(words, ["--name"], f"{_name(comparison)}-tuned")
    return shlex.join([*words, "--tune"])


def more_seeds_command(comparison: Comparison) -> str:
    """The grid's own command with more seeds, which trains only the new ones; "" without a grid."""
    words = command_words(comparison)
    if not words:
        return ""
    first = max(comparison.seeds) + 1
    seeds = [str(seed) for seed in [*comparison.seeds, *range(first, first + MORE_SEEDS)]]
    return shlex.join(_with(words, ["--seeds", "--seed"], *seeds))


def command_words(comparison: Comparison) -> list[str]:
    """The grid's command as the user typed it, word by word; [] without a grid.

    If the folder was moved since then, the command names the new place, so that it continues the
    grid there.
    """
    command = comparison.grid.get("command") or ""
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(w) for w in command]
    except ValueError:
        return []
    folder = comparison.folder.resolve()
    logdir = Path(_value(words, "--logdir") or TrainConfig().logdir)
    if not words or (logdir / (_value(words, "--name") or folder.name)).resolve() == folder:
        return words
    given = comparison.folder
    parent = given.parent if given.name == folder.name else Path(cli.short_path(folder.parent))
    return _with(_with(words, ["--logdir"], str(parent)), ["--name"], folder.name)


def tuning_rows(comparison: Comparison) -> dict[str, Mapping[str, Any]]:
    """The outcome of `--tune` in `grid.json`, by combination; {} without tuning."""
    tuning = comparison.grid.get(TUNING)
    chosen = tuning.get("combinations") if isinstance(tuning, Mapping) else None
    return {
        str(name): row
        for name, row in (chosen.items() if isinstance(chosen, Mapping) else ())
        if isinstance(row, Mapping) and "best" in row
    }


def _tried(comparison: Comparison, run: Run, piece: Advice) -> Suggestion | None:
    """What the combination reached that has exactly the advised options, if there is one."""
    wanted = _options(cli.changed(run.config, piece.changes, run.training_images))
    for other in comparison.combinations:
        own = any(each is run for each in other.runs)  # The advice is to end it later.
        if own or _options(other.runs[0].config) != wanted:
            continue
        values = other.values("test_accuracy")
        if values:
            images = int(comparison.dataset.get("test") or 0)
            outcome = f"reached {accuracy_text(values, images)}"
        else:
            outcome = f"is {other.runs[0].state}"
        return Suggestion(piece.words, outcome, other.label, card_id(other))
    return None


def _tuned_rate(comparison: Comparison, run: Run, piece: Advice) -> Suggestion | None:
    """What a learning rate reached on the validation images of `--tune`, if it was tried."""
    if set(piece.changes) != {"learning_rate"}:
        return None
    name = run.folder.name.removesuffix(f"-seed{run.config.seed}")
    rows = tuning_rows(comparison).get(name, {}).get("tried", [])
    for row in rows if isinstance(rows, list) else []:
        if not math.isclose(row["learning_rate"], piece.changes["learning_rate"], rel_tol=1e-6):
            continue
        accuracy = row.get("validation_accuracy")
        result = f"{100 * accuracy:.1f} %" if accuracy is not None else row.get("state")
        outcome = f"tuning tried {row['learning_rate']:g}: {result} on the validation images"
        return Suggestion(piece.words, outcome)
    return None


def _options(config: TrainConfig) -> dict[str, Any]:
    """The options that define a combination; a limit of the steps beyond the end has no effect."""
    return {name: getattr(config, name) for name in VARIABLE if name not in ("seed", "max_steps")}


def _continuing(comparison: Comparison, run: Run) -> str:
    if words := command_words(comparison):
        return shlex.join(words)
    resume = ["-m", "lenet.train", "--resume", cli.short_path(run.folder)]
    return shlex.join([cli.python_command(), *resume])


def _images(comparison: Comparison, run: Run) -> dict[str, Any]:
    """The option that leads to the run's images, as the user gave it."""
    name = str(run.dataset["name"])
    if run.config.data_dir is not None:
        given = _given(comparison, "--data-dir")
        return {"data_dir": Path(given or cli.short_path(run.config.data_dir))}
    return {"dataset": name} if name in registry.KNOWN_DATASETS else {}


def _as_given(comparison: Comparison, config: TrainConfig) -> TrainConfig:
    """The config without the name of a data set that the user did not type."""
    config = replace(config, logdir=TrainConfig().logdir)  # `_logdir` adds the grid's own.
    named = not comparison.grid or _given(comparison, "--dataset")
    return config if config.data_dir is None or named else replace(config, dataset="auto")


def _logdir(comparison: Comparison) -> list[str]:
    """`--logdir` with its value, if the user gave it."""
    given = _given(comparison, "--logdir")
    return [shlex.join(["--logdir", given])] if given else []


def _given(comparison: Comparison, option: str) -> str:
    """The value of an option in the grid's command, or ""."""
    return _value(command_words(comparison), option)


def _value(words: Sequence[str], option: str) -> str:
    """The value of an option in a command, or ""."""
    for word, following in itertools.pairwise([*words, ""]):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def _with(words: Sequence[str], names: Sequence[str], *values: str) -> list[str]:
    """A command in which an option has these values, or in which it is missing if there are none.

    Args:
        names: all names of the option; the first one is used.
    """
    given = (i for i, word in enumerate(words) if word.partition("=")[0] in names)
    cut = next(given, len(words))
    end = cut + 1
    while end < len(words) and not words[end].startswith("-"):
        end += 1
    instead = [names[0], *values] if values else []
    return [*words[:cut], *instead, *words[end:]]


def _name(comparison: Comparison) -> str:
    return _given(comparison, "--name") or comparison.folder.resolve().name
