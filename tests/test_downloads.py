"""Downloads from a real HTTP server on this machine that fails in all the usual ways."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lenet.data import downloads
from lenet.data.datasets import load_dataset
from lenet.data.downloads import fetch

FILES = {"images.gz": b"images" * 30_000, "labels.gz": b"labels" * 500}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
PATIENCE, IMPATIENCE = (10.0, 10.0), (10.0, 2.0)  # Two seconds: this machine may be busy.


@dataclass
class Mirrors:
    """A server whose folders behave differently: `/good/`, `/missing/`, `/wrong/` …"""

    address: str
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __getitem__(self, behaviour: str) -> str:
        return f"{self.address}/{behaviour}/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Does what the first folder of the path says."""
        self.asked.append(request.path)
        _, behaviour, name = request.path.split("/")
        content = FILES[name]
        if behaviour == "silent":
            self.over.wait()
            return
        if behaviour == "missing":
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if behaviour == "wrong":
            content = content[::-1]
        if behaviour in ("cut", "stalling"):
            content = content[: len(content) // 2]
        request.wfile.write(content)
        request.wfile.flush()
        if behaviour == "stalling":
            self.over.wait()


def serve(handler: type[BaseHTTPRequestHandler] | partial) -> ThreadingHTTPServer:
    """Starts a server on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    return server


@pytest.fixture
def mirrors() -> Iterator[Mirrors]:
    """The misbehaving server."""
    started: Mirrors

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            started.answer(self)

        def log_message(self, format: str, *arguments: object) -> None:
            """The server keeps quiet."""

    server = serve(Handler)
    started = Mirrors(f"http://127.0.0.1:{server.server_port}")
    yield started
    started.over.set()
    server.shutdown()
    server.server_close()


def contents(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, including hidden and half-written files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_all_files_are_fetched(tmp_path: Path, mirrors: Mirrors) -> None:
    fetch("mnist", tmp_path / "new" / "folder", (mirrors["good"],), SHA256, PATIENCE)
    assert contents(tmp_path / "new" / "folder") == FILES


BAD = {
    "wrong": "wrong sha256",
    "silent": "no answer in time",
    "stalling": "no answer in time",
    "cut": "truncated",
    "missing": "404",
}


def hangs(behaviour: str) -> bool:
    """Whether only a time-out ends the wait for a mirror."""
    return BAD[behaviour] == "no answer in time"


@pytest.mark.parametrize("bad", BAD)
def test_the_second_mirror_helps_out_where_the_first_fails(
    tmp_path: Path, mirrors: Mirrors, bad: str
) -> None:
    fetch("mnist", tmp_path, (mirrors[bad], mirrors["good"]), SHA256, IMPATIENCE)
    assert contents(tmp_path) == FILES
    assert [path for path in mirrors.asked if bad in path] == [f"/{bad}/images.gz"]


@pytest.mark.parametrize("bad", BAD)
def test_a_failure_names_the_mirror_and_leaves_nothing_behind(
    tmp_path: Path, mirrors: Mirrors, bad: str
) -> None:
    with pytest.raises(ConnectionError) as caught:
        fetch("mnist", tmp_path, (mirrors[bad],), SHA256, (10.0, 0.5 if hangs(bad) else 10.0))
    assert f"no mirror sent images.gz: {mirrors[bad]}: " in str(caught.value)
    assert BAD[bad] in str(caught.value)
    assert contents(tmp_path) == {}


def test_a_failure_says_what_each_mirror_did(tmp_path: Path, mirrors: Mirrors) -> None:
    dead = "http://127.0.0.1:9/"
    with pytest.raises(ConnectionError) as caught:
        fetch("mnist", tmp_path, (mirrors["missing"], dead, mirrors["wrong"]), SHA256, PATIENCE)
    message = str(caught.value)
    assert message.index(mirrors["missing"]) < message.index(dead) < message.index(mirrors["wrong"])
    assert f"{dead}: cannot be reached" in message


def test_files_that_are_there_are_not_asked_for(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / "images.gz").write_bytes(b"packed otherwise")
    (tmp_path / "labels").write_bytes(b"not packed")
    fetch("mnist", tmp_path, (mirrors["good"],), SHA256, PATIENCE)
    assert mirrors.asked == []
    assert contents(tmp_path) == {"images.gz": b"packed otherwise", "labels": b"not packed"}


def test_a_second_try_fetches_only_what_is_missing(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / "images.gz").write_bytes(FILES["images.gz"])
    fetch("mnist", tmp_path, (mirrors["good"],), SHA256, PATIENCE)
    assert mirrors.asked == ["/good/labels.gz"]
    assert contents(tmp_path) == FILES


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENET_CACHE", str(tmp_path))
    assert downloads.cache_folder() == tmp_path
    monkeypatch.delenv("LENET_CACHE")
    assert downloads.cache_folder().parts[-2:] == (".cache", "lenet")


def test_every_data_set_has_two_mirrors_and_a_hash_per_file() -> None:
    assert downloads.MIRRORS.keys() == downloads.SHA256.keys()
    for name, mirrors in downloads.MIRRORS.items():
        assert len({mirror.split("/")[2] for mirror in mirrors}) >= 2
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in mirrors)
        assert len(downloads.SHA256[name]) == (1 if name == "cifar10" else 4)


def test_security_md_lists_every_download_and_its_hosts(root: Path) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (root / "SECURITY.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    assert {name: hosts.split(", ") for name, _, hosts in rows} == {
        f"`{name}`": [mirror.split("/")[2] for mirror in mirrors]
        for name, mirrors in downloads.MIRRORS.items()
    }


def test_mnist_is_loaded_from_a_mirror_into_the_cache(
    tmp_path: Path, mnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            """The server keeps quiet."""

    server = serve(partial(Quiet, directory=str(mnist_folder)))
    hashes = {
        file: hashlib.sha256((mnist_folder / file).read_bytes()).hexdigest()
        for file in downloads.SHA256["mnist"]
    }
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setitem(downloads.MIRRORS, "mnist", (address,))
    monkeypatch.setitem(downloads.SHA256, "mnist", hashes)
    try:
        loaded = load_dataset("auto", cache=tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert (loaded.name, loaded.note) == ("mnist", "")
    assert sorted(contents(tmp_path / "mnist")) == sorted(hashes)
