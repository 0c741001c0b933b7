"""A run's folder: its name, its lock, and the small files other programs read."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lenet.config import TrainConfig
from lenet.recording import metrics, runs

if TYPE_CHECKING:
    from lenet.training.trainer import Trainer

DATASET = {
    "name": "digits",
    "sha256": "ab" * 32,
    "train": 797,
    "test": 1000,
    "image_shape": [28, 28, 1],
    "class_names": ["0", "1"],
}


def rows(run: Path) -> list[list[str]]:
    """What a spreadsheet would show of metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.reader(file))


class TestNames:
    """Where a new run goes."""

    def test_the_default_name_says_what_was_trained(self) -> None:
        config = TrainConfig(activation="tanh", optimizer="sgd", seed=7)
        name = runs.default_name(config, "digits", datetime(2026, 1, 2, 3, 4, 5))
        assert name == "digits-lenet-tanh-sgd-seed7-20260102-030405"

    def test_a_default_name_that_is_taken_gets_a_number(self, tmp_path: Path) -> None:
        logdir = tmp_path / "not" / "there" / "yet"
        names = [runs.create(logdir, None, "run").name for _ in range(3)]
        assert names == ["run", "run-2", "run-3"]

    def test_a_chosen_name_that_is_taken_is_refused(self, tmp_path: Path) -> None:
        run = runs.create(tmp_path, "mine", "default")
        runs.write_config(run, TrainConfig(), DATASET, {})
        with pytest.raises(runs.RunError, match="mine already contains a run.*--resume"):
            runs.create(tmp_path, "mine", "default")

    def test_an_empty_folder_of_the_chosen_name_is_used(self, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        assert runs.create(tmp_path, "mine", "default") == tmp_path / "mine"

    def test_a_file_with_that_name_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "logs").write_text("")
        with pytest.raises(OSError, match="logs"):
            runs.create(tmp_path / "logs", None, "default")
        (tmp_path / "mine").write_text("")
        with pytest.raises(FileExistsError, match="mine"):
            runs.create(tmp_path, "mine", "default")


class TestLock:
    """One process writes to a run at a time."""

    HOLD = (
        "import sys; from pathlib import Path; from lenet.recording.runs import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )

    def test_a_second_writer_in_one_process_is_refused(self, tmp_path: Path) -> None:
        with runs.locked(tmp_path):
            with pytest.raises(runs.RunError, match="is being written by another process"):
                with runs.locked(tmp_path):
                    pass
        with runs.locked(tmp_path):
            pass

    def test_another_process_is_named_and_its_death_frees_the_run(
        self, tmp_path: Path, root: Path
    ) -> None:
        command = [sys.executable, "-c", self.HOLD, str(tmp_path)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, cwd=root, text=True, **pipes) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(runs.RunError, match=f"process ID {other.pid}"):
                with runs.locked(tmp_path):
                    pass
            other.send_signal(signal.SIGKILL)
            other.wait()
            with runs.locked(tmp_path):
                pass


class TestConfig:
    """config.json, and what a resume may change of it."""

    def test_options_data_set_and_machine_are_in_one_file(self, tmp_path: Path) -> None:
        config = TrainConfig(seed=4, epochs=2).resolved(797)
        runs.write_config(tmp_path, config, DATASET, {"python": "3"})
        written = json.loads((tmp_path / "config.json").read_text())
        assert written["seed"] == 4
        assert written["dataset"] == DATASET
        assert written["environment"] == {"python": "3"}
        saved, dataset = runs.read_config(tmp_path)
        assert dataset == DATASET
        expected = dataclasses.replace(config, dataset="digits", logdir=config.logdir.resolve())
        assert saved == expected

    def test_a_users_own_images_are_found_again_by_their_folder(self, tmp_path: Path) -> None:
        config = TrainConfig(data_dir=tmp_path).resolved(400)
        runs.write_config(tmp_path, config, {**DATASET, "name": "mine"}, {})
        saved, _ = runs.read_config(tmp_path)
        assert (saved.dataset, saved.data_dir) == ("auto", tmp_path)

    def test_a_folder_without_a_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="There is no run in .*config.json"):
            runs.read_config(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "{",
            "[]",
            "{}",
            '{"dataset": 3}',
            '{"dataset": {"name": "digits"}, "optimizer": "x"}',
        ],
    )
    def test_a_damaged_config_is_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ValueError, match=r"config\.json is damaged"):
            runs.read_config(tmp_path)

    SAVED = TrainConfig(epochs=5, max_steps=100).resolved(797)

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"epochs": 10},
            {"max_steps": 200},
            {"max_steps": None},
            {"log_every": 7, "inspect_every": 0, "eval_every": 3, "eval_size": 9, "keep": 5},
            {"checkpoint_every": 2, "threads": 1, "quiet": True, "profile": True},
            {"data_dir": Path("/elsewhere"), "figures": False},
        ],
        ids=lambda changes: " ".join(changes) or "nothing",
    )
    def test_options_that_leave_the_steps_so_far_valid_may_change(
        self, changes: dict[str, Any]
    ) -> None:
        runs.check_resumable(self.SAVED, dataclasses.replace(self.SAVED, **changes))

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"seed": 1}, r"seed \(was 0, now 1\)"),
            ({"epochs": 4}, r"epochs \(was 5, now 4\)"),
            ({"max_steps": 99}, r"max_steps \(was 100, now 99\)"),
            ({"deterministic": False}, r"deterministic \(was True, now False\)"),
            ({"towers": 1}, r"towers \(was 2, now 1\)"),
            (
                {"activation": "tanh", "batch_size": 7},
                r"activation \(was relu, now tanh\), batch_size \(was 32, now 7\)",
            ),
        ],
    )
    def test_options_that_would_change_these_steps_are_refused_by_name(
        self, changes: dict[str, Any], expected: str
    ) -> None:
        with pytest.raises(ValueError, match=expected):
            runs.check_resumable(self.SAVED, dataclasses.replace(self.SAVED, **changes))

    @pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
    def test_a_schedule_that_depends_on_the_total_cannot_be_stretched(self, schedule: Any) -> None:
        saved = dataclasses.replace(self.SAVED, schedule=schedule)
        with pytest.raises(
            ValueError, match=f"cannot continue to 6 epochs.*schedule={schedule}.*5"
        ):
            runs.check_resumable(saved, dataclasses.replace(saved, epochs=6))
        runs.check_resumable(saved, dataclasses.replace(saved, max_steps=None))


class TestStatus:
    """status.json."""

    def test_it_is_replaced_completely(self, tmp_path: Path) -> None:
        assert runs.read_status(tmp_path) == {}
        runs.write_status(tmp_path, {"state": "running", "step": 1})
        runs.write_status(tmp_path, {"state": "done"})
        assert runs.read_status(tmp_path) == {"state": "done"}
        assert [path.name for path in tmp_path.iterdir()] == ["status.json"]

    def test_numbers_that_are_not_finite_are_null(self, tmp_path: Path) -> None:
        runs.write_status(tmp_path, {"test_loss": float("nan"), "seconds": float("inf")})
        written = json.loads((tmp_path / "status.json").read_text(), parse_constant=pytest.fail)
        assert written == {"test_loss": None, "seconds": None}


def epoch_of(step: int) -> int:
    """The epoch of a step, with two steps per epoch."""
    return -(-step // 2)


class TestMetrics:
    """metrics.csv."""

    ROWS = [(0, 0, "test", 1.5, 0.25), (1, 1, "train", 1.25, 0.5), (2, 1, "train", 0.1, 1.0)]
    HEADER = ["step", "epoch", "split", "loss", "accuracy"]

    def test_rows_are_appended_under_one_header(self, tmp_path: Path) -> None:
        for row in self.ROWS:
            runs.append_metrics(tmp_path, [row])
        assert rows(tmp_path) == [self.HEADER, *([str(v) for v in row] for row in self.ROWS)]

    def test_numbers_keep_every_digit(self, tmp_path: Path) -> None:
        loss = 0.1 + 0.2
        runs.append_metrics(tmp_path, [(1, 1, "train", loss, 1 / 3)])
        assert [float(value) for value in rows(tmp_path)[1][3:]] == [loss, 1 / 3]

    @pytest.mark.parametrize("torn", ["", "3,1,tr", "2,1,train,0.", "\n", "2,1,train,,"])
    def test_rows_after_a_step_and_a_torn_one_are_cut(self, tmp_path: Path, torn: str) -> None:
        runs.append_metrics(tmp_path, self.ROWS)
        with (tmp_path / "metrics.csv").open("a") as file:
            file.write(torn)
        metrics.mend(tmp_path, 1, {}, epoch_of)
        assert rows(tmp_path) == [self.HEADER, *([str(v) for v in row] for row in self.ROWS[:2])]
        runs.append_metrics(tmp_path, self.ROWS[2:])
        assert len(rows(tmp_path)) == 4

    def test_a_header_alone_or_no_file_stays_as_it_is(self, tmp_path: Path) -> None:
        metrics.mend(tmp_path, 0, {}, epoch_of)
        assert list(tmp_path.iterdir()) == []
        runs.append_metrics(tmp_path, [])
        metrics.mend(tmp_path, 0, {}, epoch_of)
        assert rows(tmp_path) == [self.HEADER]

    DAMAGES: list[Callable[[bytes], bytes]] = [
        lambda content: content[: len(content) // 3],
        lambda content: content[:60] + bytes(40) + content[100:],
        lambda content: content.replace(b"train", b"tr\xffin", 2),
        lambda content: content.replace(b"0.", b"x.", 3),
        lambda content: content.decode().encode("utf-16"),
        lambda content: content.replace(b",train,0", b",train,1", 1),
        lambda content: b"",
    ]

    @pytest.mark.parametrize("damage", DAMAGES, ids=range(len(DAMAGES)))
    def test_lost_rows_are_rebuilt_from_the_event_files(
        self, tmp_path: Path, learned: Trainer, damage: Callable[[bytes], bytes]
    ) -> None:
        run = tmp_path / "run"
        shutil.copytree(learned.history.run, run)
        path, at = (
            run / "metrics.csv",
            ({"test": learned.history.evaluations}, learned.schedule.epoch_of),
        )
        whole = path.read_bytes()
        assert metrics.mend(run, 150, *at) == ""
        assert path.read_bytes() == whole
        path.write_bytes(damage(whole))
        assert re.match(
            r".*metrics.csv was damaged.*rows were rebuilt", metrics.mend(run, 150, *at)
        )
        assert path.read_bytes() == whole


class TestLinks:
    """Nothing is written through a link out of a run's folder."""

    @pytest.mark.parametrize("name", ["metrics.csv", ".lock", "checkpoints", "train/events"])
    def test_a_link_out_of_the_folder_is_refused(self, tmp_path: Path, name: str) -> None:
        run, outside = tmp_path / "run", tmp_path / "outside"
        (run / "train").mkdir(parents=True)
        outside.write_text("precious")
        (run / name).symlink_to(outside)
        with pytest.raises(runs.RunError, match=f"{name} is a link out of"):
            with runs.locked(run):
                pass
        assert outside.read_text() == "precious"

    def test_a_link_within_the_folder_is_fine(self, tmp_path: Path) -> None:
        (tmp_path / "newest").symlink_to(tmp_path / "checkpoints")
        with runs.locked(tmp_path):
            pass

    def test_a_folder_in_place_of_the_lock_is_named(self, tmp_path: Path) -> None:
        (tmp_path / ".lock").mkdir()
        with pytest.raises(runs.RunError, match="lock is a folder.*Remove it"):
            with runs.locked(tmp_path):
                pass


def test_a_run_like_another_has_its_options_but_not_its_place(tmp_path: Path) -> None:
    config = TrainConfig(
        activation="tanh", optimizer="adam", epochs=7, init="he_normal", logdir=tmp_path,
        run_name="first", early_stopping=3, quiet=True,
    ).resolved(797)  # fmt: skip
    run = tmp_path / "first"
    run.mkdir()
    described = {
        "name": "digits", "sha256": "0" * 64, "train": 700, "validation": 97, "test": 1000,
        "image_shape": [28, 28, 1], "class_names": [str(digit) for digit in range(10)],
    }  # fmt: skip
    runs.write_config(run, config, described, {})
    like = runs.options_like(run)
    assert (like.activation, like.epochs, like.init) == ("tanh", 7, "he_normal")
    assert (like.early_stopping, like.dataset) == (3, "digits")
    assert (like.run_name, like.logdir, like.quiet) == (None, TrainConfig().logdir, False)
    # A rate that was the default of one optimizer is not kept for another.
    assert dataclasses.replace(like, optimizer="sgd").resolved(797).learning_rate == 0.01
    assert like.resolved(797).learning_rate == 0.001


def test_a_run_takes_as_much_of_the_disk_as_readme_says(root: Path, learned: Trainer) -> None:
    text = " ".join((root / "README.md").read_text().split())
    numbers = re.search(
        r"A run of LeNet takes about ([\d.]+) kB for each step, ([\d.]+) MB for each inspection, (\d+) "
        r"bytes per weight .* of the two checkpoints \(adam; .*?, ([\d.]+) MB for the graph",
        text,
    )
    assert numbers
    per_step, per_inspection, per_weight, rest = map(float, numbers.groups())
    run = learned.history.run
    inspections = len(list((run / "inspections").iterdir()))
    predicted = (
        1e3 * per_step * learned.history.step
        + 1e6 * (per_inspection * inspections + rest)
        + 2 * per_weight * learned.model.num_parameters
    )
    measured = sum(path.stat().st_size for path in run.rglob("*") if "figures" not in path.parts)
    assert measured == pytest.approx(predicted, rel=0.15)
