"""The code itself: nothing is unpickled, evaluated or unpacked to the disk, as SECURITY.md says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lenet.data import downloads

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [*sorted((ROOT / "lenet").rglob("*.py")), *sorted((ROOT / "experiments").rglob("*.py"))]
# Modules and functions that run what they read as code, or that write files whose names they read.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
UNSAFE_NAMES = {"eval", "exec", "compile", "__import__"}
UNSAFE_ATTRIBUTES = {
    "load_model", "load_weights", "Lambda", "enable_unsafe_deserialization", "extractall", "extract",
    "unpack_archive", "system", "popen", "saved_model", "py_function", "numpy_function",
}  # fmt: skip


def uses(tree: ast.AST) -> Iterator[str]:
    """Every module, builtin function and attribute in a program that may be unsafe."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {alias.name for alias in node.names}
            if node.module.split(".")[0] in UNSAFE_MODULES or names & UNSAFE_ATTRIBUTES:
                yield node.module
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in UNSAFE_NAMES:
                yield node.func.id
        elif isinstance(node, ast.Attribute) and node.attr in UNSAFE_ATTRIBUTES:
            yield node.attr
        elif isinstance(node, ast.keyword):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            if (node.arg, value) in (("allow_pickle", True), ("shell", True), ("safe_mode", False)):
                yield f"{node.arg}={value}"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import pickle", ["pickle"]),
        ("from keras.layers import Lambda", ["keras.layers"]),
        ("keras.models.load_model(path)", ["load_model"]),
        ("numpy.load(path, allow_pickle=True)", ["allow_pickle=True"]),
        ("tarfile.open(path).extractall()", ["extractall"]),
        ("eval(text)", ["eval"]),
        ("numpy.load(path, allow_pickle=False); model.eval()", []),
    ],
)
def test_what_is_unsafe_is_found(code: str, expected: list[str]) -> None:
    assert list(uses(ast.parse(code))) == expected


def test_nothing_that_is_read_is_run_or_unpacked_to_the_disk() -> None:
    assert len(SOURCES) > 100
    sources = [*SOURCES, ROOT / "docs" / "minimal.py"]
    found = {
        str(path.relative_to(ROOT)): list(uses(ast.parse(path.read_text()))) for path in sources
    }
    # An export is loaded again, to compare its answers with those of the network.
    own = {"lenet/networks/exports.py": {"load_model", "saved_model"}}
    assert {path: set(names) for path, names in found.items() if names} == own


def test_json_and_arrays_of_others_are_read_in_one_place() -> None:
    reading = ROOT / "lenet" / "reading.py"
    readers = ("json.load", "np.load", "ZipFile(", "gzip.open", "gzip.decompress")
    for path in SOURCES:
        # These read only what their own processes have just written.
        if path != reading and "bench" not in path.parts and path.name != "library.py":
            assert [name for name in readers if name in path.read_text()] == [], path


def test_downloads_come_over_https_and_have_a_hash() -> None:
    assert downloads.MIRRORS.keys() == downloads.SHA256.keys()
    for name, mirrors in downloads.MIRRORS.items():
        assert all(mirror.startswith("https://") for mirror in mirrors)
        hashes = downloads.SHA256[name].values()
        assert hashes and all(len(bytes.fromhex(sha256)) == 32 for sha256 in hashes)
