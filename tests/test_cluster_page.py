"""A cluster of separate processes over TLS, started by the commands of docs/cluster.md."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.grid import certificates, dispatch
from experiments.grid.__main__ import main
from lenet.recording import runs

PATIENCE = 240
RUNS = [f"relu-{optimizer}-seed{seed}" for optimizer in ("sgd", "adam") for seed in (0, 1)]
OPTIONS = "--dataset digits --activation relu --seeds 0 1 --epochs 30 --inspect-every 0".split()


def command(page: str, name: str) -> list[str]:
    """The words of one of the page's commands."""
    [text] = re.findall(rf"<!-- command: {name} -->\n```bash\n(.+)\n```", page)
    return shlex.split(text)


class Programs:
    """The programs of a cluster. Each is the leader of a group of processes."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.page = (root / "docs" / "cluster.md").read_text()
        self.started: list[subprocess.Popen[str]] = []
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = str(probe.getsockname()[1])

    def words(self, name: str) -> list[str]:
        """One of the page's commands, for this machine and this folder."""
        places = {".venv/bin/python": sys.executable, "HOST": "127.0.0.1", "8786": self.port}
        places |= {"/shared/runs": str(self.folder / "runs")}
        words = command(self.page, name)
        for place, ours in places.items():
            words = [word.replace(place, ours) for word in words]
        words = [re.sub(r"^cluster(?=/|$)", str(self.folder / "cluster"), word) for word in words]
        if name == "worker":
            words[words.index("--nworkers") + 1] = "1"
        if name == "grid":
            words = [*words[: words.index("--data-dir")], *OPTIONS]
        return words

    def start(self, name: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        with (self.folder / f"{name}{len(self.started)}.txt").open("w") as log:
            process = subprocess.Popen(
                self.words(name),
                cwd=cwd or self.root,
                stdout=subprocess.PIPE if name == "grid" else log,
                stderr=subprocess.PIPE if name == "grid" else log,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": ""},
            )
        self.started.append(process)
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kills a program and all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def status(self, name: str) -> dict[str, object]:
        return runs.read_status(self.folder / "runs" / "grid" / name)

    def wait_until(self, done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def trained(self, count: int) -> Callable[[], bool]:
        """Whether at least so many runs have saved a checkpoint."""
        pattern = f"runs/grid/*/{runs.CHECKPOINTS}/step-*"
        return lambda: len({path.parent for path in self.folder.glob(pattern)}) >= count


@pytest.fixture
def programs(root: Path, tmp_path: Path) -> Iterator[Programs]:
    programs = Programs(root, tmp_path)
    subprocess.run(programs.words("certificates"), cwd=root, check=True, capture_output=True)
    yield programs
    for process in programs.started:
        programs.kill(process)


@pytest.fixture(scope="module")
def serially(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The sha256 of each run's weights, trained one after the other in one process."""
    logdir = tmp_path_factory.mktemp("serially")
    words = [sys.executable, "-m", "experiments.grid", "--workers", "0", "--logdir", str(logdir)]
    subprocess.run([*words, *OPTIONS], cwd=root, check=True, capture_output=True)
    return {name: runs.read_status(logdir / "grid" / name)["weights_sha256"] for name in RUNS}


@pytest.mark.slow
def test_workers_join_die_and_come_back_and_the_bits_stay(
    programs: Programs, serially: dict[str, str]
) -> None:
    programs.start("scheduler")
    workers = [programs.start("worker") for _ in range(3)]
    grid = programs.start("grid")
    programs.wait_until(programs.trained(3), grid)
    programs.kill(workers[0])
    os.killpg(workers[1].pid, signal.SIGSTOP)
    time.sleep(5)
    programs.start("worker")
    os.killpg(workers[1].pid, signal.SIGCONT)
    out, err = grid.communicate(timeout=PATIENCE)
    assert grid.returncode == 0, err
    assert {name: programs.status(name)["weights_sha256"] for name in RUNS} == serially
    assert len(re.findall(r"^Worker tls://\S+ on the machine \S+ has joined", err, re.M)) == 4
    assert len(re.findall(r"^relu-\w+-seed\d: its worker died", err, re.M)) == 1
    assert "Traceback" not in out + err
    assert out.count("done") == len(RUNS)


@pytest.mark.slow
def test_after_the_scheduler_died_the_same_command_continues(
    programs: Programs, serially: dict[str, str]
) -> None:
    scheduler = programs.start("scheduler")
    workers = [programs.start("worker") for _ in range(2)]
    grid = programs.start("grid")
    programs.wait_until(programs.trained(2), grid)
    programs.kill(scheduler)
    _, err = grid.communicate(timeout=PATIENCE)
    assert grid.returncode == 2
    assert err.splitlines()[-1].startswith("Error: The scheduler tls://127.0.0.1")
    assert "repeat the command" in err.splitlines()[-1]
    assert "Traceback" not in err
    for worker in workers:
        worker.wait(timeout=PATIENCE)  # A worker without a scheduler ends.
    programs.start("scheduler")
    programs.start("worker")
    again = programs.start("grid")
    _, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err
    assert {name: programs.status(name)["weights_sha256"] for name in RUNS} == serially


@pytest.mark.slow
def test_after_the_grid_died_its_workers_stop_and_the_same_command_continues(
    programs: Programs, serially: dict[str, str]
) -> None:
    programs.start("scheduler")
    programs.start("worker")
    grid = programs.start("grid")
    programs.wait_until(programs.trained(1), grid)
    programs.kill(grid)
    deadline = time.monotonic() + 30
    while not any(programs.status(name).get("state") == "interrupted" for name in RUNS):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    again = programs.start("grid")
    _, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err
    assert {name: programs.status(name)["weights_sha256"] for name in RUNS} == serially


@pytest.mark.slow
def test_a_worker_without_the_package_is_refused_by_name(
    programs: Programs, tmp_path: Path
) -> None:
    programs.start("scheduler")
    programs.start("worker", cwd=tmp_path)
    grid = programs.start("grid")
    out, err = grid.communicate(timeout=PATIENCE)
    assert grid.returncode == 2
    last = err.splitlines()[-1]
    assert last.startswith("Error: The worker tls://127.0.0.1")
    assert f"on the machine {socket.gethostname()} cannot import lenet. Start it in" in last
    assert "Traceback" not in out + err


def test_a_scheduler_without_the_package_is_refused_in_one_line(
    programs: Programs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs.start("scheduler", cwd=tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(programs.words("grid")[3:])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: The scheduler tls://127.0.0.1:{programs.port} on the machine")
    assert "cannot import lenet. Start it in the folder of the repository" in line


def test_the_certificates_are_private_and_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cluster"
    assert certificates.main([str(folder)]) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["ca.pem", "cert.pem", "key.pem"]
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    assert b"PRIVATE" not in before["ca.pem"] + before["cert.pem"]
    with pytest.raises(SystemExit) as ended:
        certificates.main([str(folder)])
    assert ended.value.code == 2
    assert "already contains ca.pem, cert.pem, key.pem" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_page_tells_how_many_deaths_a_run_may_have(root: Path) -> None:
    page = (root / "docs" / "cluster.md").read_text()
    assert f"After {dispatch.MAX_DEATHS} deaths without a new checkpoint in between" in page


def test_the_programs_on_the_page_can_be_read(root: Path) -> None:
    page = (root / "docs" / "cluster.md").read_text()
    [program] = re.findall(r"<!-- program: slurm -->\n```python\n(.+?)```", page, re.S)
    compile(program, "slurm_cluster.py", "exec")
