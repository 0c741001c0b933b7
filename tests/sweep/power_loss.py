"""Power loss at every operation of a save: what was not synced to the disk may be lost."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from lenet.recording import checkpoints, runs

from . import Trial, _runs, killed
from ._saving import Operation

FAULT = (
    "The power fails after every operation of a save. Of the files, folders and changes that are "
    "not yet synced, nothing, everything or a random part reached the disk"
)
PROMISE = "There is a valid checkpoint with the right weights, and the run can be continued."
SAMPLE = 20
RANDOM_PARTS = 12
CONTENTS = ("all", "empty", "half", "zeros")


def trials(folder: Path) -> Iterator[Trial]:
    """Every prefix of three saves, and several guesses of what the disk kept."""
    for situation in ("first", "second", "damaged"):
        run = folder / situation
        _prepare(run, situation)
        before = _content(run)
        operations = killed.record(run, folder / "log")
        rng = random.Random(0)
        for count in range(len(operations) + 1):
            chances = [(0.0, "empty"), (1.0, "all"), (1.0, "empty"), (1.0, "zeros")]
            chances += [(rng.random(), rng.choice(CONTENTS)) for _ in range(RANDOM_PARTS)]
            for part, (chance, content) in enumerate(chances):
                kept = random.Random(f"{count} {part}").random
                disk = partial(Disk, run, before)
                check = partial(_check, folder / "copy", situation, disk, operations[:count])
                name = f"{situation} save, {count} operations, part {part}"
                complete = count == len(operations)
                yield Trial(name, partial(check, complete, kept, chance, content))


def _prepare(run: Path, situation: str) -> None:
    shutil.copytree(_runs.whole(), run)
    saved = run / runs.CHECKPOINTS
    if situation == "first":
        shutil.rmtree(saved)
    elif situation == "second":
        shutil.rmtree(saved / runs.step_name(killed.DURING))
    else:
        (saved / runs.step_name(killed.DURING) / checkpoints.MODEL).write_bytes(b"")


def _content(run: Path) -> dict[str, bytes | None]:
    """Every path in a folder with its content; None for folders."""
    return {str(p): p.read_bytes() if p.is_file() else None for p in [run, *run.rglob("*")]}


class Node:
    """A file or folder on the disk: what a process sees, and what is certain to be on the disk.

    Attributes:
        data: the content of a file.
        synced: the content that is certain.
        entries: for a folder, what is in it.
        certain: what is certain to be in it.
        pending: changes of `entries` since the last sync, in order; each as names and nodes.
    """

    def __init__(self, data: bytes = b"", is_folder: bool = False) -> None:
        self.data, self.synced, self.is_folder = data, data, is_folder
        self.entries: dict[str, Node] = {}
        self.certain: dict[str, Node] = {}
        self.pending: list[dict[str, Node | None]] = []

    def change(self, names: dict[str, Node | None]) -> None:
        _apply(self.entries, names)
        self.pending.append(names)

    def sync(self) -> None:
        self.synced, self.certain, self.pending = self.data, dict(self.entries), []


class Disk:
    """The disk under a folder, to which the operations of a save are made."""

    def __init__(self, root: Path, content: dict[str, bytes | None]) -> None:
        self._root, self._top = root, Node(is_folder=True)
        for path, data in sorted(content.items()):
            if Path(path) != root:
                node = Node(data or b"", data is None)
                self._folder(path).change({Path(path).name: node})
        self._sync_all(self._top)

    def make(self, operation: Operation) -> None:
        kind, path = operation[0], operation[1]
        name = Path(path).name
        if kind == "mkdir":
            self._folder(path).change({name: Node(is_folder=True)})
        elif kind == "create":
            node = Node()
            node.synced = b""
            self._folder(path).change({name: node})
        elif kind == "write":
            self._node(path).data += operation[2]
        elif kind == "fsync":
            self._node(path).sync()
        elif kind in ("rename", "replace"):
            assert Path(path).parent == Path(operation[2]).parent
            self._folder(path).change({name: None, Path(operation[2]).name: self._node(path)})
        else:
            assert kind in ("unlink", "remove", "rmdir"), kind
            self._folder(path).change({name: None})

    def lose_power(
        self, copy: Path, kept: Callable[[], float], chance: float, content: str
    ) -> None:
        """Writes what is left to another folder. Each uncertain change is kept with a chance."""

        def write(node: Node, path: Path) -> None:
            if not node.is_folder:
                uncertain = node.data != node.synced and kept() < chance
                path.write_bytes(_spoilt(node.data, content) if uncertain else node.synced)
                return
            path.mkdir()
            entries = dict(node.certain)
            for names in node.pending:
                if kept() < chance:
                    _apply(entries, names)
            for name, entry in entries.items():
                write(entry, path / name)

        write(self._top, copy)

    def _node(self, path: str) -> Node:
        node = self._top
        for name in Path(path).relative_to(self._root).parts:
            node = node.entries[name]
        return node

    def _folder(self, path: str) -> Node:
        return self._node(str(Path(path).parent))

    def _sync_all(self, node: Node) -> None:
        node.sync()
        for entry in node.entries.values():
            self._sync_all(entry)


def _apply(entries: dict[str, Node], names: dict[str, Node | None]) -> None:
    for name, node in names.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _spoilt(data: bytes, content: str) -> bytes:
    return {
        "all": data,
        "empty": b"",
        "half": data[: len(data) // 2],
        "zeros": bytes(len(data)),
    }[content]


def _check(
    copy: Path,
    situation: str,
    make_disk: Callable[[], Disk],
    operations: Sequence[Operation],
    complete: bool,
    kept: Callable[[], float],
    chance: float,
    content: str,
) -> None:
    disk = make_disk()
    for operation in operations:
        disk.make(operation)
    shutil.rmtree(copy, ignore_errors=True)
    disk.lose_power(copy, kept, chance, content)
    runs.read_config(copy)
    found = checkpoints.newest_valid(copy / runs.CHECKPOINTS)
    if complete:
        assert found is not None and found.step == killed.DURING
    if found is None:
        assert situation == "first"
        return
    assert found.step in (killed.BEFORE, killed.DURING)
    for name in (checkpoints.MODEL, checkpoints.OPTIMIZER):
        expected = _runs.whole() / runs.CHECKPOINTS / found.path.name / name
        assert (found.path / name).read_bytes() == expected.read_bytes()
