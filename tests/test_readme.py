"""README.md and CONTRIBUTING.md agree with the code: lists of choices, links, commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from lenet import cli, registry
from lenet.config import TrainConfig

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/cluster.md",
    "docs/own-work.md",
)


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    """The page as it is stored."""
    return (root / "README.md").read_text()


def choices(readme: str, option: str) -> tuple[str, ...]:
    """The choices of an option in README's table."""
    [row] = re.findall(rf"^\| [^|]*`{option}`[^|]* \| ([^|]+) \|$", readme, re.MULTILINE)
    return tuple(row.split(", "))


def test_its_table_lists_every_choice(readme: str) -> None:
    assert choices(readme, "--activation") == get_args(registry.Activation)
    assert choices(readme, "--fc2-activation") == get_args(registry.Activation)
    assert choices(readme, "--optimizer") == get_args(registry.Optimizer)
    assert choices(readme, "--init") == get_args(registry.Initializer)
    assert choices(readme, "--model") == get_args(registry.ModelName)
    assert choices(readme, "--schedule") == get_args(registry.LearningRateSchedule)


def test_every_data_set_it_names_is_known(readme: str) -> None:
    [names] = re.findall(r"`--dataset` loads a data\s+set by name: ([\w, ]+)\.", readme)
    assert set(re.split(r", | or ", names)) == set(registry.KNOWN_DATASETS)


def test_every_training_command_in_it_is_valid(readme: str) -> None:
    # The data set's place is for the reader to fill in.
    flat = re.sub(r"<folder of \w+>", "folder", readme.replace("\n", " "))
    commands = re.findall(r"python -m lenet\.train( --[^`]*?)(?=`| ```)", flat)
    assert len(commands) >= 4
    for options in commands:
        words = shlex.split(options)
        if words != ["--help"]:
            cli.parse_config(words, "python -m lenet.train", "", TrainConfig())


def test_every_file_in_the_table_of_changes_exists(readme: str, root: Path) -> None:
    table = readme.split("## Where to change what")[1].split("\n## ")[0]
    paths = re.findall(r"^\| [^|]+ \| `([\w/.]+)` \|$", table, re.MULTILINE)
    assert len(paths) >= 10
    assert len(paths) == len([line for line in table.splitlines() if line.startswith("|")]) - 2
    assert [path for path in paths if not (root / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_a_page_links_to_exists(page: str, root: Path) -> None:
    file = root / page
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text())
    assert [link for link in links if not (file.parent / link).exists()] == []


def test_everything_in_the_table_of_additions_exists(root: Path) -> None:
    table = (root / "CONTRIBUTING.md").read_text().split("## To add something")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 8
    for row in rows:
        for path, names in re.findall(r"`([\w/]+(?:\.py|/))`(?:: ([^;|]*))?", row):
            assert (root / path).exists(), path
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"\b{name}\b", (root / path).read_text()), f"{path}: {name}"
