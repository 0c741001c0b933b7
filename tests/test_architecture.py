"""docs/architecture.md agrees with the code and with the files of a real run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_imports import DOORS, EXPERIMENTS, MODULES, TOP, rooms

from experiments.grid import jobs
from lenet import files
from lenet.recording import events

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """The page as it is stored."""
    return (root / "docs" / "architecture.md").read_text()


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next one."""
    return page.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def pattern(file: str) -> re.Pattern[str]:
    """The files that a name stands for: … is anything within a name, <run>/ any folder."""
    escaped = re.escape(file).replace("…", "[^/]+").replace(re.escape("<run>"), "[^/]+")
    return re.compile(f"{escaped}.+" if file.endswith("/") else escaped)


def check_files(text: str, folder: Path, absent: set[str], ignored: str = "(?!)") -> None:
    """Every file of a folder is in a table, and every file in the table is in the folder."""
    named = {file: pattern(file) for [cell, _] in rows(text) for file in re.findall("`(.*)`", cell)}
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = [path.relative_to(folder).as_posix() for path in paths]
    files = [file for file in files if not re.fullmatch(ignored, file)]
    assert [f for f in files if not any(p.fullmatch(f) for p in named.values())] == []
    assert {n for n, p in named.items() if not any(map(p.fullmatch, files))} == absent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, command_line: CommandLine) -> Path:
    """A run of two epochs with everything that runs record by default."""
    logdir = tmp_path_factory.mktemp("logdir")
    options = ("--dataset", "digits", "--max-steps", "30", "--inspect-every", "10",
               "--validation-fraction", "0.2")  # fmt: skip
    result = command_line(*options, "--logdir", logdir, "--run-name", "run")
    assert result.returncode == 0, result.stderr
    return logdir / "run"


def first_sentence(module: Path) -> str:
    """What a module's docstring says first, without what it may import."""
    described = ast.get_docstring(ast.parse(module.read_text())) or ""
    return " ".join(re.split(r"\n\n|May import: ", described)[0].split())


@pytest.mark.parametrize("modules", [MODULES, EXPERIMENTS], ids=["lenet", "experiments"])
def test_every_package_is_there_in_its_own_words(page: str, modules: dict[str, Path]) -> None:
    table = dict(rows(section(page, "Packages")))
    words = {
        f"`{name.replace('.', '/')}/`": first_sentence(modules[name]) for name in rooms(modules)
    }
    [top] = {name.split(".")[0] for name in modules}
    assert {name: said for name, said in table.items() if name.startswith(f"`{top}/")} == words


def test_the_drawing_has_the_arrows_that_the_packages_allow(page: str) -> None:
    drawing = re.findall(r"^ +(\w+) --> (.+)$", section(page, "Packages"), re.MULTILINE)
    drawn = {name: set(others.split(" & ")) for name, others in drawing}
    allowed = {
        name.rpartition(".")[2]: {other.rpartition(".")[2] for other in others}
        for modules in (MODULES, EXPERIMENTS)
        for name, others in rooms(modules).items()
    }
    assert drawn == {name: others for name, others in allowed.items() if others}


def test_every_module_outside_the_packages_is_named(page: str) -> None:
    programs, options = re.findall(r"^- [^:]+: ([^.]+)\.", section(page, "Packages"), re.MULTILINE)
    own = {name.removeprefix("lenet.") for name in DOORS - {"lenet"}}
    assert set(re.findall(r"`(\w+)`", programs)) == own
    top = {name.removeprefix("lenet.") for name in TOP - set(rooms(MODULES))}
    assert set(re.findall(r"`(\w+)`", options)) == top


def test_every_file_of_the_code_that_it_names_exists(page: str, root: Path) -> None:
    named = re.findall(r"\b(?:lenet|experiments|tests)/[\w/]*(?:\.py|\.js)?", page)
    assert len(named) > 20
    assert [name for name in named if not (root / name).exists()] == []


def test_the_functions_and_methods_that_it_names_exist(page: str, root: Path) -> None:
    code = "\n".join(path.read_text() for path in (root / "lenet").rglob("*.py"))
    functions = re.findall(r"\.py: (\w+_\w+)", page)
    assert set(functions) == {"load_dataset", "epoch_order"}
    methods = re.findall(r"\b([A-Z]\w*[a-z])\.([a-z]\w+)", page)
    assert ("Steps", "train") in methods
    for name in [*functions, *(method for _, method in methods)]:
        assert f"def {name}(" in code
    for name, _ in methods:
        assert re.search(rf"^class {name}\b", code, re.MULTILINE)


def test_the_files_of_a_run_are_those_it_names(page: str, run: Path) -> None:
    check_files(section(page, "The files of a run"), run, {"live.html", "error.txt"})


def test_the_files_of_a_grid_are_those_it_names(page: str, root: Path, tmp_path: Path) -> None:
    options = "--dataset digits --activations relu --optimizers sgd --seeds 0 --epochs 1 --tune"
    result = subprocess.run(
        [sys.executable, "-m", "experiments.grid", *options.split(), "--workers", "0",
         "--logdir", str(tmp_path), "--name", "grid"],
        cwd=root, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    text, only_sometimes = section(page, "The files of a grid"), {"<run>/error.txt", ".stop"}
    folder = tmp_path / "grid"
    check_files(text, folder, only_sometimes, ignored=r"relu-sgd-seed0/(?!events).+")
    run_files = section(page, "The files of a run")
    check_files(
        run_files,
        folder / "relu-sgd-seed0",
        {"figures/….png", "figures/….npz", "figures/index.html", "live.html", "error.txt",
         "validation/events.out.tfevents.…"},
        ignored="events.+",
    )  # fmt: skip
    assert (files.ERROR, jobs.STOP_FILE) == ("error.txt", ".stop")


def test_the_tags_of_a_run_are_those_it_names(page: str, run: Path) -> None:
    layers = {
        "layer": ("conv1", "conv2", "fc1", "fc2", "fc3"),
        "conv": ("conv1", "conv2"),
        "fc": ("fc1", "fc2", "fc3"),
        "features": ("fc2",),
    }
    named = set()
    for _, tags, _ in rows(section(page, "What TensorBoard shows")):
        for tag in re.findall(r"`([^`]+)`", tags):
            kind, _, rest = tag.removeprefix("<").partition(">")
            names = [f"{layer}{rest}" for layer in layers[kind]] if rest else [tag]
            named |= set(names)
    train, test = (set(events.read_tensors(run / split)) for split in ("train", "test"))
    # The layout of the Custom Scalars page has a tag of TensorBoard's own.
    assert {tag for tag in train if not tag.startswith("custom_scalars")} == named
    assert test == {"loss", "accuracy", "config", "inputs/each", "inputs/grid"}
