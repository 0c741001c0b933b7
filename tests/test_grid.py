from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from experiments.grid import live, tuning
from experiments.grid.__main__ import main
from experiments.grid.jobs import STOP_FILE, Job, Outcome
from experiments.grid.run_one import train_one
from experiments.grid.terminal_board import leader_board
from experiments.report import page as report
from experiments.report.reading import GRID
from experiments.report.statistics import Rank, ranges_text
from lenet import files
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset
from lenet.recording import events, runs
from lenet.training.interrupts import StopRequest
from lenet.training.trainer import Trainer

SHORT = ["--dataset", "digits", "--max-steps", "4", "--workers", "0"]
NAMES = [f"relu-{optimizer}-seed{seed}" for optimizer in ("sgd", "adam") for seed in (0, 1)]
Fit = Callable[..., Trainer]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logdir")


@pytest.fixture(scope="module")
def run(logdir: Path) -> Callable[..., int]:
    """Runs a small grid in this process; of the reports, only the one of `first` is made."""

    def call(*arguments: str) -> int:
        with pytest.MonkeyPatch.context() as patch:
            if "first" not in arguments:
                patch.setattr(report, "write_report", lambda folder: folder / "report.html")
            return main([*SHORT, "--logdir", str(logdir), *arguments])

    return call


@pytest.fixture(scope="module")
def first(run: Callable[..., int], logdir: Path) -> Path:
    """A grid of one activation, two optimizers and two seeds."""
    assert run("--activation", "relu", "--seeds", "0", "1", "--name", "first") == 0
    return logdir / "first"


def status(run: Path) -> dict[str, Any]:
    return json.loads((run / runs.STATUS).read_text())


def job(folder: Path, dataset: Dataset, **options: Any) -> Job:
    defaults: dict[str, Any] = {"dataset": "digits", "max_steps": 6, "inspect_every": 0}
    config = TrainConfig(
        logdir=folder, run_name="one", figures=False, quiet=True, **(defaults | options)
    )
    return Job(config.resolved(797), dataset.sha256, stop_file=folder / STOP_FILE)


def test_every_combination_has_its_folder_and_nothing_else_does(first: Path) -> None:
    assert sorted(path.name for path in first.iterdir() if path.is_dir()) == sorted(NAMES)
    assert {status(first / name)["state"] for name in NAMES} == {"done"}
    assert (first / "report.html").exists()


def test_grid_json_says_how_the_grid_was_made(first: Path, digits: Dataset) -> None:
    content = json.loads((first / GRID).read_text())
    assert "experiments.grid --dataset digits --max-steps 4" in content["command"]
    assert content["dataset"] == {"name": "digits", "sha256": digits.sha256}
    assert content["options"]["optimizer"] == ["sgd", "adam"]
    assert [each["folder"] for each in content["combinations"]] == NAMES
    assert content["combinations"][2]["learning_rate"] == 0.001
    assert content["tuning"] is None
    assert content["versions"]["tensorflow"].startswith("2.")


def test_weights_are_the_same_as_with_lenet_train(first: Path, fit: Fit, digits: Dataset) -> None:
    for optimizer in ("sgd", "adam"):
        options = {"optimizer": optimizer, "seed": 1, "epochs": None, "batch_size": None}
        alone = fit(digits, max_steps=4, **options).history
        assert status(first / f"relu-{optimizer}-seed1")["weights_sha256"] == alone.weights_sha256


def kernels_at_start(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / runs.INSPECTIONS / "step-00000000.npz") as arrays:
        return {name: arrays[name] for name in arrays if name.endswith(("/kernel", "/bias"))}


def first_loss(run: Path) -> str:
    with (run / runs.METRICS).open() as file:
        return next(row["loss"] for row in csv.DictReader(file) if row["split"] == "train")


def test_all_combinations_of_a_seed_have_the_same_start(first: Path) -> None:
    """The same draws, and the same first batch: its loss is that of the common first weights."""
    for seed in (0, 1):
        one, other = (first / f"relu-{optimizer}-seed{seed}" for optimizer in ("sgd", "adam"))
        expected, actual = kernels_at_start(one), kernels_at_start(other)
        assert len(expected) == 10
        assert all(np.array_equal(expected[name], actual[name]) for name in expected)
        assert first_loss(one) == first_loss(other)
    seeds = [first / f"relu-sgd-seed{seed}" for seed in (0, 1)]
    assert first_loss(seeds[0]) != first_loss(seeds[1])


def test_other_activations_start_from_the_same_draws(
    first: Path, fit: Fit, digits: Dataset
) -> None:
    options = {"epochs": 1, "batch_size": None, "inspect_every": 200, "max_steps": 1}
    tanh = fit(digits, activation="tanh", **options).history.run
    expected, actual = kernels_at_start(first / "relu-sgd-seed0"), kernels_at_start(tanh)
    assert all(np.array_equal(expected[name], actual[name]) for name in expected)


def hparams(folder: Path) -> Iterator[HParamsPluginData]:
    """What one folder contains for the HParams page."""
    for path in events.event_files(folder):
        for event, _ in events._read_events(path):
            summary: Summary = event.summary
            for value in summary.value:
                assert value.metadata.plugin_data.plugin_name == metadata.PLUGIN_NAME
                yield HParamsPluginData.FromString(value.metadata.plugin_data.content)


def test_tensorboards_hparams_page_groups_the_seeds(first: Path) -> None:
    (overview,) = hparams(first)
    shown = {info.name: info for info in overview.experiment.hparam_infos}
    values = shown["optimizer"].domain_discrete.values
    assert {value.string_value for value in values} == {"sgd", "adam"}
    assert list(shown) == ["activation", "optimizer", "learning_rate"]
    metrics = {(m.name.group, m.name.tag) for m in overview.experiment.metric_infos}
    assert metrics == {("test", "accuracy"), ("test", "loss")}
    groups = []
    for name in NAMES:
        (trial,) = hparams(first / name)
        values = trial.session_start_info.hparams
        assert set(shown) < set(values)
        assert {v.WhichOneof("kind") for v in values.values()} <= {"number_value", "string_value"}
        groups.append(trial.session_start_info.group_name)
        assert "accuracy" in events.read_scalars(first / name / "test")
    assert groups[0] == groups[1] != groups[2] == groups[3]


def test_a_repeated_command_trains_nothing_again(
    first: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (first / name / runs.STATUS).stat().st_mtime_ns for name in NAMES}
    assert run("--activation", "relu", "--seeds", "0", "1", "--name", "first") == 0
    assert {n: (first / n / runs.STATUS).stat().st_mtime_ns for n in NAMES} == before
    out = capsys.readouterr().out
    assert "4 runs" in out
    assert "4 of them already finished" in out
    assert "±" in out
    assert "tensorboard --logdir" in out


def test_the_same_name_for_another_grid_is_refused(
    first: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--activation", "relu", "--batch-size", "16", "--name", "first")
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert "--batch-size (was 32, now 16)" in message
    assert "a different --name" in message


def test_a_failed_run_is_reported_and_the_others_finish(
    run: Callable[..., int], logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--activation",
        "relu",
        "--optimizers",
        "sgd",
        "adam",
        "--seed",
        "0",
        "--name",
        "bad",
    ]
    arguments += ["--inspect-every", "0"]
    (logdir / "bad").mkdir()
    (logdir / "bad" / "relu-sgd-seed0").touch()
    assert run(*arguments) == 1
    printed = capsys.readouterr()
    assert status(logdir / "bad" / "relu-adam-seed0")["state"] == "done"
    assert "Failed: relu-sgd-seed0" in printed.err
    assert "1 failed" in printed.out
    assert "±" not in printed.out, "one seed has no spread"
    (logdir / "bad" / "relu-sgd-seed0").unlink()
    assert run(*arguments) == 0
    printed = capsys.readouterr()
    assert "1 of them already finished" in printed.out
    assert status(logdir / "bad" / "relu-sgd-seed0")["state"] == "done"


def test_a_diverged_run_is_a_result_and_is_not_repeated(tmp_path: Path, digits: Dataset) -> None:
    wild = job(tmp_path, digits, optimizer="sgd", learning_rate=1e9)
    outcome = train_one(wild)
    assert (outcome.state, outcome.skipped) == ("diverged", False)
    assert "loss is" in outcome.notes[0]
    assert train_one(wild).skipped
    board = leader_board([outcome], 1000)
    assert "1 diverged" in board
    assert "±" not in board


def test_a_run_with_only_damaged_checkpoints_fails_and_says_so(
    tmp_path: Path, digits: Dataset
) -> None:
    short = job(tmp_path, digits, epochs=1, max_steps=2)
    assert train_one(short).state == "done"
    for path in short.folder.glob("checkpoints/*/model.npz"):
        path.write_bytes(b"damaged")
    longer = replace(short, config=replace(short.config, max_steps=4))
    outcome = train_one(longer)
    assert outcome.state == "failed"
    assert "All checkpoints in" in outcome.notes[0]
    assert status(short.folder)["error"] == outcome.notes[0]


def test_a_run_without_a_checkpoint_starts_again(tmp_path: Path, digits: Dataset) -> None:
    one = job(tmp_path, digits, max_steps=2)
    train_one(one)
    expected = status(one.folder)["weights_sha256"]
    for path in one.folder.glob("checkpoints/*/*"):
        path.unlink()
    for path in one.folder.glob("checkpoints/*"):
        path.rmdir()
    runs.write_status(one.folder, {"state": "running"})
    assert not train_one(one).skipped
    assert status(one.folder)["weights_sha256"] == expected
    assert len(list((one.folder / "train").iterdir())) == 1


def test_a_run_that_was_asked_to_stop_continues_to_the_same_bits(
    tmp_path: Path, digits: Dataset, fit: Fit
) -> None:
    one = job(tmp_path, digits)
    assert one.stop_file is not None
    one.stop_file.touch()
    assert train_one(one).state == "interrupted"
    assert not one.folder.exists(), "it had not begun"
    one.stop_file.unlink()

    class AfterTwoSteps(StopRequest):
        def __getattribute__(self, name: str) -> Any:
            rows = tmp_path / "one" / runs.METRICS
            if name == "signal" and rows.exists() and "\n2,1,train" in rows.read_text():
                return signal.SIGINT
            return super().__getattribute__(name)

    assert train_one(one, AfterTwoSteps()).state == "interrupted"
    assert status(one.folder)["step"] < 6
    (one.folder / files.ERROR).write_text("the traceback of an earlier attempt")
    assert train_one(one).state == "done"
    assert not (one.folder / files.ERROR).exists()
    alone = fit(digits, max_steps=6, epochs=None, batch_size=None).history
    assert status(one.folder)["weights_sha256"] == alone.weights_sha256


def test_images_other_than_the_grids_are_refused(tmp_path: Path, digits: Dataset) -> None:
    outcome = train_one(replace(job(tmp_path, digits), dataset_sha256="0" * 64))
    assert outcome.state == "failed"
    assert "images on this worker differ" in outcome.notes[0]


def test_tuning_uses_only_training_images(
    run: Callable[..., int],
    logdir: Path,
    digits: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tuning, "FACTORS", (1, 10))
    arguments = ["--activation", "relu", "--optimizer", "sgd", "--seed", "0", "--name", "tuned"]
    assert run(*arguments, "--tune", "--inspect-every", "0") == 0
    content = json.loads((logdir / "tuned" / GRID).read_text())
    choice = content["tuning"]["combinations"]["relu-sgd"]
    assert [one["learning_rate"] for one in choice["tried"]] == [0.01, 0.1]
    assert content["combinations"][0]["learning_rate"] == choice["best"]
    config, dataset = runs.read_config(logdir / "tuned" / "relu-sgd-seed0")
    assert config.learning_rate == choice["best"]
    assert dataset["sha256"] == digits.sha256
    for path in (logdir / "tuned" / "tuning").iterdir():
        _, tried_on = runs.read_config(path)
        assert tried_on["name"] == "digits_validation"
        assert tried_on["train"] + tried_on["test"] == len(digits.train)


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "experiments.grid", *arguments]
    return subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_rows(run: Path, process: subprocess.Popen[str]) -> None:
    """Waits until a run has trained a little."""
    while not (run / runs.METRICS).exists() or ",train," not in (run / runs.METRICS).read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("workers", "sent"),
    [("0", signal.SIGTERM), pytest.param("2", signal.SIGINT, marks=pytest.mark.slow)],
)
def test_an_interrupted_grid_continues(
    tmp_path: Path, root: Path, workers: str, sent: signal.Signals
) -> None:
    arguments = ["--dataset", "digits", "--epochs", "50", "--activation", "relu", "--seed", "0"]
    arguments += ["--logdir", str(tmp_path), "--inspect-every", "0", "--workers", workers]
    process = start(root, *arguments)
    runs_made = ["relu-sgd-seed0"] if workers == "0" else ["relu-sgd-seed0", "relu-adam-seed0"]
    for name in runs_made:
        wait_for_rows(tmp_path / "grid" / name, process)
    os.kill(process.pid, sent)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + sent, err
    assert "To continue:\n" in out
    assert "Traceback" not in err
    for name in runs_made:
        run = tmp_path / "grid" / name
        assert status(run)["state"] == "interrupted"
        assert list(run.glob("checkpoints/step-*"))
        with runs.locked(run):
            pass
    assert not (tmp_path / "grid" / STOP_FILE).exists()
    again = start(root, *arguments)
    _, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    assert status(tmp_path / "grid" / runs_made[0])["state"] == "done"


def test_two_grids_never_write_to_the_same_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "grid").mkdir()
    with runs.locked(tmp_path / "grid"), pytest.raises(SystemExit) as ended:
        main([*SHORT, "--logdir", str(tmp_path)])
    assert ended.value.code == 2
    assert "another process" in capsys.readouterr().err


def outcomes(**accuracies: list[float]) -> list[Outcome]:
    config = TrainConfig(learning_rate=0.1)
    return [
        Outcome(replace(config, seed=seed, run_name=f"{name}-seed{seed}"), "done", 0.1, accuracy)
        for name, values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]


def test_the_leader_board_has_mean_and_spread_best_first() -> None:
    board = leader_board(outcomes(worse=[0.5, 0.52], better=[0.93, 0.95], single=[0.1]), 10_000)
    assert board.splitlines() == [
        "rank  combination   test accuracy  learning rate  seeds",
        "   1  better       94.00 ± 1.41 %            0.1  2",
        "   2  worse        51.00 ± 1.41 %            0.1  2",
        "   3  single              10.00 %            0.1  1",
    ]


def test_the_leader_board_gives_ranges_of_ranks_as_the_report_does() -> None:
    made = outcomes(first=[0.93, 0.95], second=[0.92, 0.94])
    made.append(Outcome(replace(made[0].config, seed=2, run_name="first-seed2"), "diverged"))
    assert leader_board(made, 1_000).splitlines() == [
        "rank  combination  test accuracy  learning rate  seeds",
        " 1–2  first         94.0 ± 1.4 %            0.1  2 of 3 (1 diverged)",
        " 1–2  second        93.0 ± 1.4 %            0.1  2",
        ranges_text([Rank(1, 2)]),
    ]


def test_networks_are_compared_each_with_its_own_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--models", "lenet", "conv4", "mlp", "--activation", "relu", "--optimizer", "adam"]
    arguments += [*SHORT, "--max-steps", "1", "--seed", "0", "--logdir", str(tmp_path)]
    assert main(arguments) == 0
    folder = tmp_path / "grid"
    names = [f"relu-adam-{model}-seed0" for model in ("lenet", "conv4", "mlp")]
    configs = [runs.read_config(folder / name)[0] for name in names]
    assert [(c.batch_size, c.learning_rate, c.init, c.conv_dropout) for c in configs] == [
        (32, 0.001, "glorot_uniform", 0.0),
        (10, 0.00001, "source", 0.8),
        (32, 0.001, "glorot_uniform", 0.0),
    ]
    (overview,) = hparams(folder)
    shown = {info.name: info.domain_discrete for info in overview.experiment.hparam_infos}
    models = {value.string_value for value in shown["model"].values}
    assert models == {"lenet", "conv4", "mlp"}
    page = (folder / "report.html").read_text()
    assert all(f"relu · adam · model {model}" in page for model in models)
    assert "combination" in capsys.readouterr().out


def test_an_option_without_effect_on_one_network_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(
            [*SHORT, "--models", "lenet", "mlp", "--conv-dropout", "0.5", "--logdir", str(tmp_path)]
        )
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "no --conv-dropout with model='mlp'" in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "grid").exists()


def test_the_live_table_shows_what_the_files_say(tmp_path: Path, digits: Dataset) -> None:
    from rich.console import Console

    names = [f"relu-adam-[x]-seed{seed}" for seed in range(3)]
    jobs = [
        replace(j, config=replace(j.config, run_name=name, epochs=2, max_steps=None))
        for name in names
        for j in [job(tmp_path, digits)]
    ]
    table = live.LiveTable(jobs, digits)

    def shown(markup: bool = True) -> list[str]:
        console = Console(width=120, height=30, record=True, file=io.StringIO())
        console.print(table, markup=markup)
        return console.export_text().splitlines()[1:]

    assert [line.split() for line in shown()] == [[name, "waiting"] for name in names]
    jobs[0].folder.mkdir()
    runs.write_status(jobs[0].folder, {"state": "running", "test_accuracy": 0.5})
    runs.append_metrics(jobs[0].folder, [(10, 1, "train", 1.0, 0.5)])
    assert shown()[0].split() == [names[0], "running", "1/2", "50.0", "%"]
    time.sleep(0.1)
    runs.append_metrics(jobs[0].folder, [(30, 2, "train", 1.0, 0.5)])
    cells = shown()[0].split()
    assert cells[2] == "2/2"
    assert int(cells[5].replace(",", "")) > 0
    assert cells[6].startswith("0:")
    table.end(Outcome(jobs[0].config, "done", 0.1, 0.75))
    assert shown()[0].split() == [names[0], "done", "75.0", "%"]
    assert shown(markup=False)[0].split() == [names[0], "done", "75.0", "%"]
    assert table.line(Outcome(jobs[0].config, "done", 0.1, 0.75, 2.0)).startswith("[1/3] ")
