"""Imports point one way, and what answers in a blink never waits for TensorFlow."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lenet
from lenet.datasets import Dataset

PACKAGE = Path(lenet.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
WITHOUT_TENSORFLOW = [
    f"lenet.{name}"
    for name in (
        "checkpoints",
        "cifar",
        "cli",
        "config",
        "datasets",
        "diagnosis",
        "downloads",
        "embeddings",
        "events",
        "folders",
        "idx",
        "ink",
        "interrupts",
        "layouts",
        "page",
        "pictures",
        "preparation",
        "progress",
        "registry",
        "runs",
        "sampling",
        "schedule",
        "tiles",
    )
] + [name for name in MODULES if name.startswith("lenet.figures")]
# Each row may import from its own and from those above it.
ROWS = [
    "config registry idx schedule events tiles figures diagnosis",
    "datasets downloads models sampling runs",
    "steps summaries checkpoints",
    "trainer",
    "train visualize explain",
]


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


def row(module: str) -> int | None:
    """Where a module stands, or None where it has no place of its own."""
    stem = module.split(".")[1] if "." in module else module
    return next((place for place, names in enumerate(ROWS) if stem in names.split()), None)


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_a_light_module_needs_no_tensorflow(module: str) -> None:
    for reached in reach(module):
        names = {name.split(".")[0] for name in imports_of(MODULES[reached])}
        assert not names & {"tensorflow", "keras"}, f"{module} comes to {reached}"


@pytest.mark.parametrize("module", MODULES)
def test_the_package_never_imports_the_experiments(module: str) -> None:
    assert [name for name in imports_of(MODULES[module]) if name.startswith("experiments")] == []


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    own = row(module)
    others = {name: row(name) for name in ours(MODULES[module])}
    if own is not None:
        against = [name for name, other in others.items() if other is not None and other > own]
        assert against == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: ours(path) for name, path in MODULES.items() if name != "lenet"}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


def test_the_finder_of_imports_sees_the_hidden_ones(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import keras\n"
        "def f():\n    import tensorflow as tf\n    from lenet import steps\n"
    )
    found = list(imports_of(tmp_path / "module.py"))
    assert {"tensorflow", "lenet.steps"} <= set(found)
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
            "TrainConfig().resolved(dataset.name)",
            f"lenet.events.cut_after({str(tmp_path)!r}, 3)",
            f"assert lenet.checkpoints.newest_valid(lenet.runs.Path({str(tmp_path)!r})) is None",
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


@pytest.mark.parametrize("module", ["lenet.steps", "lenet", "experiments.grid"])
def test_a_warning_that_our_own_code_causes_is_an_error(module: str) -> None:
    with pytest.raises(DeprecationWarning, match="going away"):
        warnings.warn_explicit("going away", DeprecationWarning, "file.py", 1, module=module)
