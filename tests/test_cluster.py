from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from experiments.combinations import combine
from experiments.grid import cluster
from experiments.grid.__main__ import main
from experiments.grid.jobs import STOP_FILE, Job
from experiments.grid.run_one import train_one
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset
from lenet.recording import runs
from lenet.training.interrupts import StopRequest
from lenet.training.trainer import Trainer

OPTIMIZERS = ("sgd", "adam")
STEPS = 12
Fit = Callable[..., Trainer]


@dataclass
class Seen:
    """What was observed of a grid while two of its workers were killed."""

    folder: Path
    returncode: int = -1
    out: str = ""
    err: str = ""
    killed: list[int] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Seen:
    """One grid for several tests, observed while it ran and its workers were killed."""
    seen = Seen(tmp_path_factory.mktemp("logdir") / "grid")
    (seen.folder / "relu-momentum-seed0").mkdir(parents=True)
    (seen.folder / "relu-momentum-seed0" / runs.METRICS).mkdir()  # That one must fail.
    arguments = ["--dataset", "digits", "--max-steps", str(STEPS), "--checkpoint-every", "4"]
    arguments += ["--activation", "relu", "--optimizers", "momentum", *OPTIMIZERS, "--seed", "0"]
    arguments += ["--inspect-every", "0", "--workers", "2", "--logdir", str(seen.folder.parent)]
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.grid", *arguments],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    marks = [("relu-adam-seed0", "config.json"), ("relu-sgd-seed0", "checkpoints/step-00000004")]
    while process.poll() is None:
        for name, mark in list(marks):
            if (seen.folder / name / mark).exists():
                if not seen.addresses:
                    look(seen, process.pid)
                pid = int((seen.folder / name / runs.LOCK).read_text())
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    seen.killed.append(pid)
                marks.remove((name, mark))
        time.sleep(0.01)
    seen.out, seen.err = process.communicate()
    seen.returncode = process.returncode
    return seen


def look(seen: Seen, pid: int) -> None:
    """Notes where a grid's processes listen, and how they answer without a certificate."""
    parent = psutil.Process(pid)
    for process in [parent, *parent.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    seen.addresses.add(connection.laddr.ip)
                    seen.answers.append(answer(connection.laddr.port))


def answer(port: int) -> str:
    """How a port answers a client without a certificate: with a page or a refusal."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/info/main/workers.html", timeout=10):
            return "HTTP talks to anybody"
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, http.client.HTTPException):
        pass
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain) as stream,
        ):
            stream.sendall(b"\0" * 64)
            return "TLS talks to anybody" if stream.recv(64) else "TLS refused"
    except (ssl.SSLError, ConnectionError):
        return "TLS refused"


def sha(folder: Path, name: str) -> str:
    return runs.read_status(folder / name)["weights_sha256"]


def test_killed_workers_change_nothing(seen: Seen, fit: Fit, digits: Dataset) -> None:
    assert len(set(seen.killed)) == 2
    for optimizer in OPTIMIZERS:
        options = {"optimizer": optimizer, "epochs": None, "batch_size": None}
        alone = fit(digits, max_steps=STEPS, **options).history
        name = f"relu-{optimizer}-seed0"
        assert sha(seen.folder, name) == alone.weights_sha256, seen.err
        ours, theirs = (run / runs.METRICS for run in (seen.folder / name, alone.run))
        assert ours.read_text() == theirs.read_text()


def test_a_failed_run_stops_no_other(seen: Seen) -> None:
    assert seen.returncode == 1
    assert "Failed: relu-momentum-seed0" in seen.err
    assert "Traceback" not in seen.err
    states = {
        path.name: runs.read_status(path).get("state") for path in seen.folder.glob("*-seed0")
    }
    assert states.pop("relu-momentum-seed0") == "failed"
    assert set(states.values()) == {"done"}
    assert len(states) == 2


def test_only_loopback_ports_listen_and_only_to_clients_with_certificates(seen: Seen) -> None:
    assert seen.addresses == {"127.0.0.1"}
    assert len(seen.answers) >= 3
    assert set(seen.answers) <= {"TLS refused", "HTTP 404"}, seen.answers
    assert "TLS refused" in seen.answers


def test_no_process_outlives_the_grid(seen: Seen) -> None:
    assert str(seen.folder.parent) not in " ".join(
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    )


def jobs(folder: Path, dataset: Dataset) -> list[Job]:
    shared = TrainConfig(
        dataset="digits", max_steps=4, inspect_every=0, figures=False, quiet=True, threads=1
    )
    lists = {"optimizer": OPTIMIZERS, "seed": (0, 1)}
    return [
        Job(config.resolved("digits"), dataset.sha256, stop_file=folder / STOP_FILE)
        for config in combine(lists, shared, folder)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_bits(
    tmp_path: Path, digits: Dataset, workers: int
) -> None:
    with cluster.local_cluster(workers) as client:
        outcomes = list(cluster.train_all(client, jobs(tmp_path / "side", digits), StopRequest()))
    assert [outcome.state for outcome in outcomes] == ["done"] * 4
    for job in jobs(tmp_path / "alone", digits):
        train_one(job)
        assert sha(tmp_path / "side", job.folder.name) == sha(tmp_path / "alone", job.folder.name)


@pytest.mark.slow
def test_a_run_that_always_kills_its_worker_is_given_up(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ALLOWED_FAILURES", 1)
    monkeypatch.setattr(cluster, "train_one", die)
    with cluster.local_cluster(1) as client:
        (outcome,) = cluster.train_all(client, jobs(tmp_path, digits)[:1], StopRequest())
    assert outcome.state == "failed"
    assert "its worker died 2 times" in outcome.notes[0]


def die(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def running_cluster(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A cluster that is already running, and the options to use it."""
    import distributed

    security: Any = distributed.Security.temporary()
    arguments = []
    for option, content in {
        "--tls-ca-file": security.tls_ca_file,
        "--tls-cert": security.tls_client_cert,
        "--tls-key": security.tls_client_key,
    }.items():
        path = tmp_path / f"{option.strip('-')}.pem"
        path.write_text(content)
        arguments += [option, str(path)]
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        host="127.0.0.1",
        protocol="tls",
        security=security,
        dashboard_address="127.0.0.1:0",
    ) as running:
        yield running.scheduler_address, arguments


@pytest.mark.slow
def test_an_existing_cluster_can_be_used(
    tmp_path: Path, digits: Dataset, running_cluster: tuple[str, list[str]]
) -> None:
    address, arguments = running_cluster
    arguments += ["--dataset", "digits", "--max-steps", "4", "--inspect-every", "0"]
    arguments += ["--activation", "relu", "--seed", "0", "--logdir", str(tmp_path)]
    assert main(["--scheduler", address, *arguments]) == 0
    for job in jobs(tmp_path / "alone", digits)[::2]:
        train_one(job)
        assert sha(tmp_path / "grid", job.folder.name) == sha(tmp_path / "alone", job.folder.name)


def test_a_missing_scheduler_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from distributed import Security

    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    security: Any = Security.temporary()
    arguments = [
        "--scheduler",
        "tls://127.0.0.1:9",
        "--dataset",
        "digits",
        "--logdir",
        str(tmp_path),
    ]
    for option in ("ca_file", "client_cert", "client_key"):
        path = tmp_path / f"{option}.pem"
        path.write_text(getattr(security, f"tls_{option}"))
        arguments += [f"--tls-{option.replace('client_', '').replace('_', '-')}", str(path)]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: Cannot use the scheduler tls://127.0.0.1:9")
    assert len(error.splitlines()) == 1


def test_a_stop_reaches_all_runs_through_the_shared_folder(tmp_path: Path, digits: Dataset) -> None:
    todo = [replace(job, stop_file=tmp_path / STOP_FILE) for job in jobs(tmp_path, digits)]
    cluster.ask_to_stop(todo)
    assert (tmp_path / STOP_FILE).exists()
    assert {train_one(job).state for job in todo} == {"interrupted"}
