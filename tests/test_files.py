"""Files are written completely or not at all, and an error names the file."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lenet import files


def names(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["text with ü\n", b"\x00\xff bytes"])
def test_a_file_is_written_and_replaced(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "file"
    for _ in range(2):
        files.write(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    files.write(path, "short")
    assert path.read_text() == "short"
    assert names(tmp_path) == ["file"]


def test_json_is_indented_and_ends_with_a_line(tmp_path: Path) -> None:
    files.write_json(tmp_path / "file.json", {"a": [1, None]})
    text = (tmp_path / "file.json").read_text()
    assert json.loads(text) == {"a": [1, None]}
    assert text.startswith('{\n  "a"') and text.endswith("}\n")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file"
    with pytest.raises(OSError, match="No such file") as caught:
        files.write(path, "text")
    assert caught.value.filename == str(path)


def test_nothing_is_left_behind_where_a_folder_has_the_name(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.write(tmp_path / "file", "text")
    assert names(tmp_path) == ["file"] and names(tmp_path / "file") == []


def test_on_a_full_disk_the_old_content_stays(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    program = (
        "import signal, sys; from pathlib import Path; from lenet import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n    files.write(Path(sys.argv[1]), b'x' * 5000)\n"
        "except OSError as error:\n    print(error.filename, error.strerror)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert (result.stdout, result.stderr) == (f"{path} File too large\n", "")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_durable_content_is_there(tmp_path: Path) -> None:
    files.write_durably(tmp_path / "file", b"bytes")
    files.sync(tmp_path)
    assert (tmp_path / "file").read_bytes() == b"bytes"


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        files.make_folder(folder, "figures", "name another folder")
        assert names(folder) == []


def test_a_folder_that_cannot_be_made_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = rf"Cannot write figures to {tmp_path}/file/out \(.+\): name another folder\."
    with pytest.raises(OSError, match=expected):
        files.make_folder(tmp_path / "file" / "out", "figures", "name another folder")
