from __future__ import annotations

import contextlib
import http.client
import os
import platform
import shutil
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
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from distributed.protocol import pickle

from experiments.combinations import combine
from experiments.grid import cluster, dispatch, greeting
from experiments.grid.__main__ import main
from experiments.grid.jobs import STOP_FILE, Job, Outcome
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
    """What was observed of a grid while three of its workers were killed."""

    folder: Path
    returncode: int = -1
    out: str = ""
    err: str = ""
    killed_at_start: int = 0
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
        if not seen.killed_at_start:
            kill_at_start(seen, process.pid)
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


def kill_at_start(seen: Seen, pid: int) -> None:
    """Kills the first worker process of a grid before it has connected."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            if "spawn_main" in " ".join(process.cmdline()):
                process.kill()
                seen.killed_at_start = process.pid
                return


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


def test_a_worker_killed_at_its_start_is_replaced_with_one_line(seen: Seen) -> None:
    assert seen.killed_at_start
    told = [line for line in seen.err.splitlines() if "died" in line]
    assert told[0] == "A worker process died while it started. Another one replaces it."


def test_the_death_of_a_worker_is_told_in_one_line_that_names_its_run(seen: Seen) -> None:
    told = [line for line in seen.err.splitlines() if ": its worker died" in line]
    assert sorted(told) == [
        "relu-adam-seed0: its worker died. It starts again on the next free worker.",
        "relu-sgd-seed0: its worker died. It continues from step 4 on the next free worker.",
    ]


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
        Job(config.resolved(797), dataset.sha256, stop_file=folder / STOP_FILE)
        for config in combine(lists, shared, folder)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_bits(
    tmp_path: Path, digits: Dataset, workers: int
) -> None:
    side = tmp_path / "side"
    side.mkdir()
    with cluster.local_cluster(workers, side, print) as started:
        outcomes = list(dispatch.train_all(started, jobs(side, digits), StopRequest()))
    assert [outcome.state for outcome in outcomes] == ["done"] * 4
    for job in jobs(tmp_path / "alone", digits):
        train_one(job)
        assert sha(tmp_path / "side", job.folder.name) == sha(tmp_path / "alone", job.folder.name)


@pytest.mark.slow
def test_a_run_that_always_kills_its_worker_is_given_up_and_the_others_finish(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MAX_DEATHS", 3)
    monkeypatch.setattr(dispatch, "train_on_worker", die_or_train)
    said: list[str] = []
    with cluster.local_cluster(2, tmp_path, said.append) as started:
        todo = jobs(tmp_path, digits)
        outcomes = {each.name: each for each in dispatch.train_all(started, todo, StopRequest())}
    poison = outcomes.pop(POISON)
    deaths = [line for line in said if line.startswith(POISON)]
    assert (poison.state, len(deaths)) == ("failed", 2), said
    assert "its worker died 3 times without a new checkpoint" in poison.notes[0]
    assert runs.read_status(tmp_path / POISON)["error"] == poison.notes[0]
    assert [each.state for each in outcomes.values()] == ["done"] * 3


POISON = "relu-sgd-seed1"


def die_or_train(job: Job) -> Outcome:
    if job.folder.name == POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    return dispatch.train_on_worker(job)


def test_only_deaths_without_a_newer_checkpoint_count(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MAX_DEATHS", 3)
    run = dispatch._Run(replace(jobs(tmp_path, digits)[0], stop_file=None))
    workers = SimpleNamespace(say=lambda line: None)
    checkpoints = run.job.folder / runs.CHECKPOINTS
    for step in range(1, 9):  # Eight deaths, each after a new checkpoint.
        (checkpoints / runs.step_name(step)).mkdir(parents=True)
        assert dispatch._after_death(run, workers) is None
    assert dispatch._after_death(run, workers) is None
    given_up = dispatch._after_death(run, workers)
    assert given_up is not None and given_up.state == "failed"
    assert "3 times" in given_up.notes[0]


def test_after_a_death_checkpoints_are_more_frequent(tmp_path: Path, digits: Dataset) -> None:
    job = jobs(tmp_path, digits)[0]
    assert dispatch._with_more_checkpoints(job, 0) == job, "nothing was lost yet"
    job.folder.mkdir()
    runs.append_metrics(job.folder, [(step, 1, "train", 1.0, 0.5) for step in range(1, 101)])
    once = dispatch._with_more_checkpoints(job, 20)
    assert once.config.checkpoint_every == 40
    assert dispatch._with_more_checkpoints(once, 90).config.checkpoint_every == 5
    assert dispatch._with_more_checkpoints(once, 0).config.checkpoint_every == 40


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
    dispatch.ask_to_stop(todo)
    assert (tmp_path / STOP_FILE).exists()
    assert {train_one(job).state for job in todo} == {"interrupted"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"tensorflow": "2.20.0"}, "has tensorflow 2.20.0 instead of 9. Install"),
        ({"python": "3.12.1", "numpy": "absent"}, "has python 3.12.1 instead of 9, numpy absent"),
        ({"code": "absent"}, "cannot import lenet. Start it in the folder of the repository"),
        ({"code": "other"}, "has other source files of lenet than this machine. Use the same"),
        ({"folder": "absent"}, "cannot see the folder /runs/grid. Choose a --logdir"),
    ],
)
def test_a_machine_with_other_software_is_refused_by_name(
    changes: dict[str, str], expected: str
) -> None:
    wanted = dict.fromkeys(("python", *greeting.PACKAGES), "9") | {"code": "ours"}
    found = wanted | {"host": "node7"} | changes
    line = greeting.problem("The worker tls://10.0.0.7:1", found, wanted, "/runs/grid")
    if not expected:
        assert line == ""
        return
    assert line.startswith("The worker tls://10.0.0.7:1 on the machine node7 ")
    assert expected in line
    assert "\n" not in line


def test_a_machine_answers_with_its_versions_and_the_code_it_would_run(tmp_path: Path) -> None:
    here = greeting.answer(greeting.PACKAGES, str(tmp_path))
    assert here == greeting.answer(greeting.PACKAGES)
    assert here["python"] == platform.python_version()
    assert here["tensorflow"].startswith("2.")
    assert greeting.answer(("no-such-package",))["no-such-package"] == "absent"
    assert greeting.answer((), str(tmp_path / "nowhere"))["folder"] == "absent"


def test_the_answer_includes_every_source_file(tmp_path: Path, root: Path) -> None:
    """A copy of the project answers the same, until one character changes."""
    for name in ("lenet", "experiments"):
        shutil.copytree(root / name, tmp_path / name)
    ask = (
        "import pickle, sys, distributed.protocol.pickle as p; "
        "print(p.loads(bytes.fromhex(sys.argv[1]))(())['code'])"
    )
    code = pickle.dumps(greeting.answer).hex()

    def answer() -> str:
        command = [sys.executable, "-c", ask, code]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout.strip()

    assert answer() == greeting.answer(())["code"]
    with (tmp_path / "lenet" / "cli.py").open("a") as file:
        file.write("#")
    assert answer() not in ("", "absent", greeting.answer(())["code"])
    shutil.rmtree(tmp_path / "lenet")
    assert answer() == "absent"
