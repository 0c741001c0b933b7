"""Imports point one way, and what answers in a blink never waits for TensorFlow."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lenet
from lenet.data.datasets import Dataset

PACKAGE = Path(lenet.__file__).parent
ROOT = PACKAGE.parent


def modules_of(package: str) -> dict[str, Path]:
    """Every module below a package's folder, by its name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((ROOT / package).rglob("*.py"))
    }


MODULES = modules_of("lenet")
EXPERIMENTS = modules_of("experiments")
# What a person starts: no room may import it.
DOORS = {
    "lenet",
    "lenet.__main__",
    "lenet.train",
    "lenet.visualize",
    "lenet.explain",
    "lenet.export",
    "lenet.trained",
}
TOP = {name for name in MODULES if name.count(".") == 1} - DOORS
WITHOUT_TENSORFLOW = sorted(
    name
    for name, path in MODULES.items()
    if name in TOP - {"lenet.analysis", "lenet.gallery", "lenet.networks", "lenet.training"}
    or name.startswith(("lenet.data", "lenet.figures", "lenet.recording"))
    or name
    in (
        "lenet.training.schedule",
        "lenet.training.learning_rates",
        "lenet.training.interrupts",
        "lenet.training.progress",
    )
    or name
    in (
        "lenet.analysis.classes",
        "lenet.analysis.embeddings",
        "lenet.gallery.page",
        "lenet.gallery.groups",
    )
    if name not in ("lenet.recording.summaries", "lenet.recording.recorder")
)


def rooms(modules: dict[str, Path]) -> dict[str, set[str]]:
    """The packages, and what the docstring of each says it may import, by their names."""
    found = {}
    for name, path in modules.items():
        if path.name != "__init__.py" or "." not in name:
            continue
        described = ast.get_docstring(ast.parse(path.read_text())) or ""
        allowed = re.search(r"May import: ([^.]*)\.", described)
        assert allowed, f"{name} does not say what it may import"
        said = allowed[1].strip()
        names = set() if said.startswith("nothing") else {word.strip() for word in said.split(",")}
        found[name] = {f"{name.split('.')[0]}.{other}" for other in names}
    return found


def imports_of(path: Path) -> Iterator[str]:
    """Every module a file imports anywhere, save what only type checkers see."""

    class Finder(ast.NodeVisitor):
        found: list[str] = []

        def visit_If(self, node: ast.If) -> None:
            if ast.unparse(node.test) != "TYPE_CHECKING":
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            self.found += [alias.name for alias in node.names]

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            assert node.level == 0, f"{path.name} imports by a relative name"
            assert node.module is not None
            self.found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]

    finder = Finder()
    finder.found = []
    finder.visit(ast.parse(path.read_text()))
    return iter(finder.found)


def ours(path: Path) -> set[str]:
    """The modules of the package that a file imports."""
    return {name for name in imports_of(path) if name in MODULES and name != "lenet"}


def reach(module: str) -> set[str]:
    """A module and all of the package that it brings along."""
    found, ahead = set(), {module}
    while ahead:
        found |= ahead
        ahead = set().union(*(ours(MODULES[name]) for name in ahead)) - found
    return found


def room_of(module: str) -> str:
    """The package a module is in, e.g. lenet.data; a top module is its own."""
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_a_light_module_needs_no_tensorflow(module: str) -> None:
    for reached in reach(module):
        names = {name.split(".")[0] for name in imports_of(MODULES[reached])}
        assert not names & {"tensorflow", "keras"}, f"{module} comes to {reached}"


@pytest.mark.parametrize("module", MODULES)
def test_the_package_never_imports_the_experiments(module: str) -> None:
    assert [name for name in imports_of(MODULES[module]) if name.startswith("experiments")] == []


@pytest.mark.parametrize("module", [m for m in MODULES if room_of(m) in rooms(MODULES)])
def test_a_room_imports_only_what_it_says(module: str) -> None:
    own = room_of(module)
    reached = {room_of(name) for name in ours(MODULES[module])}
    assert reached - {own} - TOP.difference(rooms(MODULES)) - rooms(MODULES)[own] == set()


@pytest.mark.parametrize("module", sorted(TOP.difference(rooms(MODULES))))
def test_a_top_module_imports_no_room(module: str) -> None:
    assert {room_of(name) for name in ours(MODULES[module])} <= TOP.difference(rooms(MODULES))


@pytest.mark.parametrize("module", [m for m in EXPERIMENTS if room_of(m) in rooms(EXPERIMENTS)])
def test_a_room_of_the_experiments_imports_only_what_it_says(module: str) -> None:
    own = room_of(module)
    found = {name for name in imports_of(EXPERIMENTS[module]) if name in EXPERIMENTS}
    reached = {room_of(name) for name in found if name != "experiments"}
    assert reached - {own} - rooms(EXPERIMENTS)[own] == set()


def test_rooms_import_each_other_in_no_circle() -> None:
    for modules in (MODULES, EXPERIMENTS):
        assert list(graphlib.TopologicalSorter(rooms(modules)).static_order())


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: ours(path) for name, path in MODULES.items() if name != "lenet"}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


def test_the_finder_of_imports_sees_the_hidden_ones(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import keras\n"
        "def f():\n    import tensorflow as tf\n    from lenet.training import steps\n"
    )
    found = list(imports_of(tmp_path / "module.py"))
    assert {"tensorflow", "lenet.training.steps"} <= set(found)
    assert "keras" not in found


def test_light_modules_work_without_tensorflow(
    tmp_path: Path,
    root: Path,
    tiny: Dataset,
    save_npz: Callable[[Path, Dataset], Path],
) -> None:
    file = save_npz(tmp_path / "tiny.npz", tiny)
    program = "\n".join(
        [
            "import sys",
            *(f"import {module}" for module in WITHOUT_TENSORFLOW),
            "from lenet import TrainConfig, load_dataset",
            f"dataset = load_dataset('auto', {str(file)!r})",
            "TrainConfig().resolved(len(dataset.train))",
            f"lenet.recording.events.cut_after({str(tmp_path)!r}, 3)",
            f"assert lenet.recording.checkpoints.newest_valid(lenet.recording.runs.Path({str(tmp_path)!r})) is None",
            "print([name for name in ('tensorflow', 'keras') if name in sys.modules])",
        ]
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_every_public_name_is_there() -> None:
    for name in lenet.__all__:
        assert getattr(lenet, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Lenet'"):
        _ = lenet.Lenet


@pytest.mark.parametrize("module", ["lenet.training.steps", "lenet", "experiments.grid"])
def test_a_warning_that_our_own_code_causes_is_an_error(module: str) -> None:
    with pytest.raises(DeprecationWarning, match="going away"):
        warnings.warn_explicit("going away", DeprecationWarning, "file.py", 1, module=module)
