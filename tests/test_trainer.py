"""Whole runs in this process: what they record, how they end, and that looking changes nothing."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lenet import TrainConfig, Trainer, load_dataset
from lenet.recording import events, inspections, runs
from lenet.registry import OPTIMIZERS
from lenet.training.progress import Reporter

if TYPE_CHECKING:
    from lenet.data.datasets import Dataset

Fit = Callable[..., Trainer]


def metrics(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def steps_by_tag(run: Path) -> dict[str, list[int]]:
    """The steps of every tag of both writers, but for the speed, which is per call."""
    found = {}
    for writer in ("train", "test"):
        accumulator = EventAccumulator(str(run / writer), size_guidance={"tensors": 0})
        accumulator.Reload()
        for tag in accumulator.Tags()["tensors"]:
            found[f"{writer}/{tag}"] = [event.step for event in accumulator.Tensors(tag)]
    del found["train/images_per_second"]
    return found


def last_distances(run: Path) -> dict[str, float]:
    """How far each kernel is from its start at the last inspection."""
    *_, arrays = inspections.load_all(run / runs.INSPECTIONS, pytest.fail).values()
    return {n: float(a) for n, a in arrays.items() if n.endswith("/distance_moved")}


def status(run: Path) -> dict[str, Any]:
    """status.json."""
    return json.loads((run / "status.json").read_text())


@pytest.fixture(scope="module")
def trainer(fit: Fit) -> Trainer:
    """Nine steps in three epochs, with everything on."""
    return fit(inspect_every=4, eval_every=2, seed=5)


@pytest.fixture(scope="module")
def expected(fit: Fit) -> str:
    """The weights after nine steps at which nobody looked."""
    return fit().history.weights_sha256


class TestOneRun:
    """What a run of nine steps leaves behind."""

    def test_every_step_is_a_row(self, trainer: Trainer) -> None:
        rows = [row for row in metrics(trainer.history.run) if row["split"] == "train"]
        history = trainer.history
        assert [int(row["step"]) for row in rows] == history.steps.tolist() == list(range(1, 10))
        assert [int(row["epoch"]) for row in rows] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert [float(row["loss"]) for row in rows] == history.losses.tolist()
        assert [float(row["accuracy"]) for row in rows] == history.accuracies.tolist()

    def test_every_evaluation_is_a_row(self, trainer: Trainer) -> None:
        rows = [row for row in metrics(trainer.history.run) if row["split"] == "test"]
        found = [(int(row["step"]), float(row["loss"]), float(row["accuracy"])) for row in rows]
        assert found == trainer.history.evaluations
        assert [row[0] for row in found] == [0, 2, 3, 4, 6, 8, 9]
        assert [int(row["epoch"]) for row in rows] == [0, 1, 1, 2, 2, 3, 3]

    def test_rows_are_in_the_order_of_their_steps(self, trainer: Trainer) -> None:
        steps = [int(row["step"]) for row in metrics(trainer.history.run)]
        assert steps == sorted(steps)

    def test_it_learns(self, trainer: Trainer) -> None:
        assert trainer.history.test_loss < trainer.history.evaluations[0][1]

    def test_the_status_says_how_it_ended(self, trainer: Trainer) -> None:
        found, history = status(trainer.history.run), trainer.history
        assert (found["state"], found["step"], found["epoch"]) == ("done", 9, 3)
        assert found["test_loss"] == history.test_loss == history.evaluations[-1][1]
        assert found["test_accuracy"] == history.test_accuracy == history.evaluations[-1][2]
        assert found["seconds"] > 0
        assert found["images_per_second"] > 0
        assert found["weights_sha256"] == history.weights_sha256

    def test_the_config_names_options_images_and_machine(
        self, trainer: Trainer, tiny: Dataset
    ) -> None:
        found = json.loads((trainer.history.run / "config.json").read_text())
        assert (found["seed"], found["batch_size"], found["learning_rate"]) == (5, 32, 0.001)
        described = found["dataset"]
        assert (described["name"], described["sha256"]) == ("tiny", tiny.sha256)
        assert (described["train"], described["test"]) == (70, 30)
        assert {"python", "tensorflow", "keras", "numpy", "cpu_model"} <= set(found["environment"])

    def test_each_epochs_end_has_a_checkpoint_and_two_are_kept(self, trainer: Trainer) -> None:
        found = sorted(path.name for path in (trainer.history.run / "checkpoints").iterdir())
        assert found == ["step-00000006", "step-00000009"]

    def test_the_folder_is_named_after_what_was_trained(self, trainer: Trainer) -> None:
        assert re.fullmatch(
            r"tiny-lenet-relu-adam-seed5-\d{8}-\d{6}(-\d+)?", trainer.history.run.name
        )

    def test_each_epoch_is_told_in_a_line(self, trainer: Trainer) -> None:
        number = r"\d+\.\d"
        pattern = (
            rf"Epoch (\d)/3  loss {number}{{4}}  accuracy {number}{{2}} %"
            rf"  test loss {number}{{4}}  test accuracy {number}{{2}} %  {number} s"
        )
        lines = [line for line in trainer.reporter.lines if line.startswith("Epoch")]
        matches = [re.fullmatch(pattern.replace(r"\d{", r"\d{"), line) for line in lines]
        assert [match and match[1] for match in matches] == ["1", "2", "3"]
        rows = [row for row in metrics(trainer.history.run) if row["epoch"] == "2"]
        losses = [float(row["loss"]) for row in rows if row["split"] == "train"]
        mean = np.average(losses, weights=[32, 32, 6])
        assert f"loss {mean:.4f}  " in lines[1]


class TestSameBits:
    """The same seed gives the same bits, however one looks and however fast one goes."""

    @pytest.mark.parametrize(
        "looking",
        [
            {"inspect_every": 1},
            {"log_every": 5, "eval_every": 1, "checkpoint_every": 2, "inspect_every": 50},
        ],
        ids=str,
    )
    def test_looking_changes_no_bit(self, fit: Fit, expected: str, looking: dict[str, Any]) -> None:
        assert fit(**looking).history.weights_sha256 == expected

    def test_another_seed_gives_other_bits(self, trainer: Trainer, expected: str) -> None:
        assert trainer.config.seed == 5
        assert trainer.history.weights_sha256 != expected

    @pytest.mark.slow
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_every_optimizer_repeats_itself(self, fit: Fit, optimizer: str) -> None:
        first, second = (fit(optimizer=optimizer, inspect_every=n) for n in (0, 3))
        assert first.history.weights_sha256 == second.history.weights_sha256


class TestDivergence:
    """A loss that is not finite stops the run, with the step named."""

    def test_it_stops_and_names_the_step(self, fit: Fit) -> None:
        trainer = fit(optimizer="sgd", learning_rate=1e6, epochs=20, log_every=1000)
        history = trainer.history
        found = status(history.run)
        assert (found["state"], found["step"]) == (history.state, history.step)
        assert history.state == "diverged"
        assert 1 <= history.step < 60
        (warning,) = trainer.reporter.warnings
        assert f"Stopped at step {history.step}" in warning
        assert history.steps.tolist() == list(range(1, history.step + 1))
        steps = [int(row["step"]) for row in metrics(history.run) if row["split"] == "train"]
        assert steps == sorted({1, history.step}), "the last step is logged whatever log_every says"
        assert not math.isfinite(float(metrics(history.run)[-1]["loss"]))


def crash(run: Path, copy: Path, step: int) -> Path:
    """A copy of a run as a kill would leave it: whole files, but no checkpoint after `step`."""
    shutil.copytree(run, copy)
    for path in (copy / "checkpoints").iterdir():
        if int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)
    config = json.loads((copy / "status.json").read_text())
    (copy / "status.json").write_text(json.dumps({**config, "state": "running"}))
    return copy


@pytest.fixture(scope="module")
def whole(fit: Fit) -> Callable[[str], Trainer]:
    """A run of nine steps that nothing interrupts, with a checkpoint at each; one per optimizer."""

    @cache
    def run(optimizer: str) -> Trainer:
        return fit(
            optimizer=optimizer,
            schedule="cosine",
            activation="tanh",
            checkpoint_every=1,
            keep=100,
            inspect_every=4,
            eval_every=2,
        )

    return run


SAMPLED = [("adam", 3), ("adam", 4), ("momentum", 5)]
ALL = [(name, step) for name in OPTIMIZERS for step in range(1, 10) if (name, step) not in SAMPLED]


class TestResume:
    """A run goes on as if it had never stopped."""

    @pytest.mark.parametrize(
        ("optimizer", "step"),
        [*SAMPLED, *(pytest.param(*case, marks=pytest.mark.slow) for case in ALL)],
    )
    def test_it_ends_in_the_very_same_state(
        self,
        tmp_path: Path,
        whole: Callable[[str], Trainer],
        go_on: Fit,
        optimizer: str,
        step: int,
    ) -> None:
        expected = whole(optimizer).history
        resumed = go_on(crash(expected.run, tmp_path / "run", step)).history
        assert resumed.steps.tolist() == list(range(step + 1, 10))
        assert resumed.weights_sha256 == expected.weights_sha256
        assert resumed.evaluations == expected.evaluations
        assert metrics(resumed.run) == metrics(expected.run)
        assert steps_by_tag(resumed.run) == steps_by_tag(expected.run)
        assert last_distances(resumed.run) == last_distances(expected.run)
        found = status(resumed.run)
        assert (found["state"], found["step"]) == ("done", 9)

    def test_one_killed_before_its_first_checkpoint_starts_over_without_a_trace(
        self, tmp_path: Path, whole: Callable[[str], Trainer], go_on: Fit
    ) -> None:
        expected = whole("adam").history
        resumed = go_on(crash(expected.run, tmp_path / "run", 0)).history
        assert resumed.weights_sha256 == expected.weights_sha256
        assert metrics(resumed.run) == metrics(expected.run)
        assert steps_by_tag(resumed.run) == steps_by_tag(expected.run)

    def test_a_torn_last_line_and_event_do_no_harm(
        self, tmp_path: Path, whole: Callable[[str], Trainer], go_on: Fit
    ) -> None:
        expected = whole("adam").history
        run = crash(expected.run, tmp_path / "run", 6)
        for path in [run / "metrics.csv", *(run / "train").glob("events*")]:
            path.write_bytes(path.read_bytes()[:-5])
        resumed = go_on(run).history
        assert metrics(resumed.run) == metrics(expected.run)
        assert steps_by_tag(resumed.run) == steps_by_tag(expected.run)

    def test_a_finished_run_has_nothing_left_to_do(
        self, tmp_path: Path, whole: Callable[[str], Trainer], go_on: Fit
    ) -> None:
        expected = whole("adam").history
        resumed = go_on(crash(expected.run, tmp_path / "run", 9)).history
        assert len(resumed.steps) == 0
        assert resumed.weights_sha256 == expected.weights_sha256
        assert (resumed.state, resumed.test_loss) == ("done", expected.test_loss)
        assert metrics(resumed.run) == metrics(expected.run)

    def test_more_epochs_simply_go_on(self, fit: Fit, go_on: Fit, expected: str) -> None:
        shorter = fit(epochs=2, max_steps=5)
        resumed = go_on(shorter.history.run, epochs=3, max_steps=None).history
        assert resumed.steps.tolist() == [6, 7, 8, 9]
        assert resumed.weights_sha256 == expected
        saved, _ = runs.read_config(resumed.run)
        assert (saved.epochs, saved.max_steps) == (3, None)

    def test_a_damaged_checkpoint_is_skipped_with_a_warning(
        self, tmp_path: Path, whole: Callable[[str], Trainer], go_on: Fit
    ) -> None:
        expected = whole("adam").history
        run = crash(expected.run, tmp_path / "run", 7)
        file = run / "checkpoints" / "step-00000007" / "optimizer.npz"
        file.write_bytes(file.read_bytes()[:-1])
        resumed = go_on(run)
        assert resumed.history.steps.tolist() == [7, 8, 9]
        assert resumed.history.weights_sha256 == expected.weights_sha256
        (warning,) = resumed.reporter.warnings
        assert "Skipped a damaged checkpoint: step-00000007: optimizer.npz" in warning

    def test_where_all_are_damaged_it_fails_and_touches_nothing(
        self, tmp_path: Path, whole: Callable[[str], Trainer], go_on: Fit
    ) -> None:
        run = crash(whole("adam").history.run, tmp_path / "run", 2)
        for path in (run / "checkpoints").iterdir():
            (path / "model.npz").write_bytes(b"")
        before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
        with pytest.raises(runs.RunError, match="All checkpoints in .*are damaged"):
            go_on(run)
        for path, content in before.items():
            assert path.read_bytes() == content

    def test_other_options_are_refused_by_name(
        self, whole: Callable[[str], Trainer], go_on: Fit
    ) -> None:
        with pytest.raises(ValueError, match=r"seed \(was 0, now 3\), batch_size|batch_size.*seed"):
            go_on(whole("adam").history.run, seed=3, batch_size=16)

    def test_other_images_are_refused(
        self,
        whole: Callable[[str], Trainer],
        go_on: Fit,
        make_dataset: Callable[..., Dataset],
    ) -> None:
        with pytest.raises(ValueError, match="was trained on different images"):
            go_on(whole("adam").history.run, dataset=make_dataset(train=71))

    def test_a_folder_without_a_run_is_refused(self, tmp_path: Path, tiny: Dataset) -> None:
        with pytest.raises(FileNotFoundError, match="There is no run in"):
            Trainer(TrainConfig(resume=tmp_path), tiny)

    def test_a_run_that_another_writes_is_refused(
        self, tmp_path: Path, whole: Callable[[str], Trainer], go_on: Fit
    ) -> None:
        run = crash(whole("adam").history.run, tmp_path / "run", 4)
        before = metrics(run)
        with runs.locked(run):
            with pytest.raises(runs.RunError, match="is being written by another process"):
                go_on(run)
        assert metrics(run) == before


class Interruption(Reporter):
    """Sends this process a signal when a step is reached."""

    def __init__(self, step: int, action: Callable[[], None]) -> None:
        super().__init__(quiet=True)
        self.step, self.action = step, action

    def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
        if step >= self.step:
            self.step = 1_000_000
            self.action()


class TestInterruption:
    """A signal, or an error, in the middle of a run."""

    @pytest.mark.parametrize(("number", "step"), [(signal.SIGINT, 1), (signal.SIGTERM, 5)])
    def test_a_signal_saves_at_the_next_step_and_the_run_can_go_on(
        self, fit: Fit, go_on: Fit, expected: str, number: signal.Signals, step: int
    ) -> None:
        def ask() -> None:
            os.kill(os.getpid(), number)

        before = signal.getsignal(number)
        stopped = fit(reporter=Interruption(step, ask)).history
        assert signal.getsignal(number) is before
        assert (stopped.state, stopped.signal) == ("interrupted", number)
        assert step <= stopped.step < 9
        found = status(stopped.run)
        assert (found["state"], found["step"]) == ("interrupted", stopped.step)
        assert (stopped.run / "checkpoints" / f"step-{stopped.step:08d}").is_dir()
        resumed = go_on(stopped.run).history
        assert resumed.steps[0] == stopped.step + 1
        assert resumed.weights_sha256 == expected

    def test_an_error_in_the_middle_is_written_down(self, tmp_path: Path, fit: Fit) -> None:
        def fail() -> None:
            raise RuntimeError("out of luck")

        with pytest.raises(RuntimeError, match="out of luck"):
            fit(reporter=Interruption(4, fail), logdir=tmp_path)
        (run,) = tmp_path.iterdir()
        assert status(run)["state"] == "failed"
        with runs.locked(run):
            pass


class TestLibrary:
    """The five lines of the documentation, and what a notebook sees."""

    def test_lines_and_the_outcome_are_there(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Dataset
    ) -> None:
        trainer = Trainer(TrainConfig(activation="sigmoid", epochs=2, logdir=tmp_path), tiny)
        history = trainer.fit()
        assert 0 <= history.test_accuracy <= 1
        assert history.run.parent == tmp_path
        logits, _ = trainer.model(tiny.test.images[:5] / np.float32(255))
        assert logits.shape == (5, 3)
        printed = capsys.readouterr()
        assert printed.out.count("Epoch ") == 2
        assert printed.err == ""

    def test_a_second_fit_is_refused(self, fit: Fit) -> None:
        trainer = fit(max_steps=1)
        trained = [np.asarray(weight).copy() for weight in trainer.model.weights]
        with pytest.raises(RuntimeError, match=re.escape(str(trainer.history.run))):
            trainer.fit()
        for before, weight in zip(trained, trainer.model.weights, strict=True):
            np.testing.assert_array_equal(before, weight)

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")
    def test_records_are_on_the_disk_before_the_checkpoint_of_their_step(
        self, fit: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced, fsync = [], os.fsync

        def recording(descriptor: int) -> None:
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", recording)
        run = fit(max_steps=3).history.run
        saved = next(i for i, path in enumerate(synced) if runs.CHECKPOINTS in path.parts)
        before = synced[:saved]
        assert {run / runs.METRICS, run, run / "train", run / "test"} <= set(before)
        for split in ("train", "test"):
            assert set(events.event_files(run / split)) <= set(before)

    def test_no_history_before_training(self, tmp_path: Path, tiny: Dataset) -> None:
        with pytest.raises(RuntimeError, match="before `fit`"):
            _ = Trainer(TrainConfig(logdir=tmp_path), tiny, Reporter(quiet=True)).history

    @pytest.mark.parametrize(
        "home", ["lenet", pytest.param("lenet.training.trainer", marks=pytest.mark.slow)]
    )
    def test_every_way_to_import_the_trainer_gives_the_bits_of_the_command_line(
        self, home: str, tmp_path: Path, root: Path
    ) -> None:
        program = "\n".join(
            [
                f"from {home} import Trainer",
                "from lenet import TrainConfig, load_dataset",
                "from pathlib import Path",
                "import tensorflow as tf",
                f"options = dict(inspect_every=0, logdir=Path({str(tmp_path)!r}), quiet=True)",
                "config = TrainConfig(max_steps=5, threads=1, **options)",
                "trainer = Trainer(config, load_dataset('digits'))",
                "print(tf.config.threading.get_intra_op_parallelism_threads())",
                "print(tf.config.threading.get_inter_op_parallelism_threads())",
                "print(trainer.fit().weights_sha256)",
            ]
        )
        words = [sys.executable, "-c", program]
        result = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
        intra, inter, sha256 = result.stdout.splitlines()
        assert (intra, inter) == ("1", "1")
        words = [sys.executable, "-m", "lenet.train", "--dataset", "digits", "--max-steps", "5"]
        words += ["--no-figures", "--logdir", str(tmp_path)]
        result = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
        assert f"sha256 {sha256}" in result.stdout

    def test_images_too_small_are_refused_before_anything_is_written(
        self, tmp_path: Path, make_dataset: Callable[..., Dataset]
    ) -> None:
        with pytest.raises(ValueError, match="at least 12x12 pixels"):
            Trainer(TrainConfig(logdir=tmp_path / "logs"), make_dataset(pixels=11))
        assert not (tmp_path / "logs").exists()

    def test_a_batch_larger_than_the_data_is_one_step_an_epoch(self, fit: Fit) -> None:
        assert fit(batch_size=1000).history.steps.tolist() == [1, 2, 3]

    def test_colour_images_train_too(self, fit: Fit, make_dataset: Callable[..., Dataset]) -> None:
        history = fit(dataset=make_dataset(channels=3, pixels=16), inspect_every=4).history
        assert history.state == "done"

    @pytest.mark.slow
    def test_a_profile_can_be_recorded(self, fit: Fit) -> None:
        history = fit(profile=True, epochs=2).history
        assert list((history.run / "train").rglob("*.xplane.pb"))


class TestAccuracy:
    """The published accuracies."""

    def test_the_bundled_digits_are_learned(self, fit: Fit) -> None:
        history = fit(dataset=load_dataset("digits"), epochs=10, batch_size=None).history
        assert history.step == 10 * 25
        assert history.test_accuracy >= 0.9

    @pytest.mark.slow
    @pytest.mark.parametrize(("activation", "least"), [("relu", 0.96), ("sigmoid", 0.945)])
    def test_digits_on_average(self, fit: Fit, activation: str, least: float) -> None:
        options = {"dataset": load_dataset("digits"), "epochs": None, "batch_size": None}
        found = [fit(**options, activation=activation, seed=seed).history for seed in range(3)]
        assert np.mean([history.test_accuracy for history in found]) >= least

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("activation", "optimizer", "least"),
        [("relu", "adam", 0.983), ("sigmoid", "adam", 0.976), ("relu", "sgd", 0.955)],
    )
    def test_mnist_on_average(
        self, fit: Fit, mnist_folder: Path, activation: str, optimizer: str, least: float
    ) -> None:
        options = {"dataset": load_dataset("mnist", mnist_folder), "epochs": 5, "batch_size": 100}
        names = {"activation": activation, "optimizer": optimizer}
        found = [fit(**options, **names, seed=seed).history for seed in range(3)]
        assert np.mean([history.test_accuracy for history in found]) >= least

    @pytest.mark.slow
    def test_sigmoid_with_sgd_has_not_begun_on_mnist(self, fit: Fit, mnist_folder: Path) -> None:
        options = {"dataset": load_dataset("mnist", mnist_folder), "epochs": 5, "batch_size": 100}
        history = fit(**options, activation="sigmoid", optimizer="sgd").history
        assert history.test_accuracy == 0.1135
        assert abs(history.test_loss - math.log(10)) < 0.01
