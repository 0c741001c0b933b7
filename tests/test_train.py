"""`python -m lenet.train` as a user meets it: exit codes, lines, signals, a full disk, TensorBoard."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from lenet import cli, train
from lenet.config import TrainConfig
from lenet.data import downloads
from lenet.data.datasets import Dataset, Split, load_dataset
from lenet.data.idx import IDX_FILES, write_idx
from lenet.diagnosis import Advice, Finding
from lenet.recording import checkpoints, events, runs

if TYPE_CHECKING:
    from lenet.training.trainer import Trainer

CommandLine = Callable[..., CompletedProcess[str]]
LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")


@pytest.fixture(scope="module")
def npz(
    tmp_path_factory: pytest.TempPathFactory,
    tiny: Dataset,
    save_npz: Callable[[Path, Dataset], Path],
) -> Path:
    """The tiny data set as a file."""
    return save_npz(tmp_path_factory.mktemp("images") / "tiny.npz", tiny)


@pytest.fixture(scope="module")
def short(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options of a run of nine steps."""
    words = f"--data-dir {npz} --logdir {tmp_path_factory.mktemp('logs')} --epochs 3"
    return [*words.split(), "--batch-size", "32", "--inspect-every", "4", "--no-figures"]


@pytest.fixture(scope="module")
def finished(short: list[str], command_line: CommandLine) -> CompletedProcess[str]:
    """The outcome of a run that went well."""
    return command_line(*short, "--run-name", "finished", "--threads", "2")


def printed(pattern: str, output: str) -> str:
    """What stands behind a word at the beginning of a line."""
    match = re.search(rf"^{pattern} +(.*)$", output, re.MULTILINE)
    assert match, output
    return match[1]


def rows(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class TestHelp:
    """`--help`."""

    def test_it_explains_the_options_without_tensorflow(self, root: Path) -> None:
        command = [sys.executable, "-X", "importtime", "-m", "lenet.train", "--help"]
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert result.returncode == 0
        for words in ("--activation {relu,sigmoid", "--resume", "--learning-rate"):
            assert words in result.stdout
        imported = {line.split("|")[-1].strip() for line in result.stderr.splitlines()}
        assert "tyro" in imported, "the list of imports was read wrongly"
        heavy = {"tensorflow", "keras", "sklearn", "matplotlib", "pooch", "PIL"}
        assert heavy & imported == set()


class TestARunThatGoesWell:
    """What is printed, and that it is true."""

    def test_it_says_what_it_trains_and_on_which_images(
        self, finished: CompletedProcess[str]
    ) -> None:
        assert finished.returncode == 0
        assert "tiny: 70 training and 30 test images, 12×12, gray, 3 classes." in finished.stdout
        assert "relu, adam at rate 0.001, batch 32, 3 epochs, seed 0" in finished.stdout
        assert "seed 0: 15,031 trainable parameters" in finished.stdout
        assert len(re.findall(r"^Epoch \d/3  loss ", finished.stdout, re.MULTILINE)) == 3

    def test_nothing_disturbs_the_screen(self, finished: CompletedProcess[str]) -> None:
        assert finished.stderr == ""

    def test_it_prints_the_folder_the_accuracy_and_the_sha256(
        self, finished: CompletedProcess[str]
    ) -> None:
        run = Path(printed("Run folder", finished.stdout))
        status = json.loads((run / "status.json").read_text())
        accuracy = printed("Test accuracy", finished.stdout)
        assert accuracy.startswith(f"{100 * status['test_accuracy']:.2f} % on tiny")
        assert printed("Weights +sha256", finished.stdout) == status["weights_sha256"]
        # Its last batch is smaller, and every image counts the same.
        last = re.findall(
            r"^Epoch 3/3  loss [\d.]+  accuracy ([\d.]+ %)", finished.stdout, re.MULTILINE
        )
        assert printed("Train accuracy", finished.stdout).startswith(f"{last[0]}, mean")

    def test_on_a_terminal_a_bar_shows_speed_and_one_thread_gives_the_same_bits_as_two(
        self, finished: CompletedProcess[str], short: list[str], root: Path
    ) -> None:
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "lenet.train", *short, "--threads", "1"]
        environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
        options: dict[str, Any] = {"cwd": root, "env": environment, "stdout": slave}
        with subprocess.Popen(command, **options, stderr=slave) as process:
            os.close(slave)
            shown = b""
            with contextlib.suppress(OSError):  # The end of a terminal is an error to Linux.
                while part := os.read(master, 65_536):
                    shown += part
        os.close(master)
        assert process.returncode == 0
        text = shown.decode()
        assert "step" in text
        assert "9/9" in text
        assert "images/s" in text
        assert "left" in text
        assert "Epoch 3/3" in text
        assert f"sha256 {printed('Weights +sha256', finished.stdout)}" in text


@pytest.fixture(scope="class")
def tensorboard(finished: CompletedProcess[str], root: Path) -> Iterator[str]:
    """The address of a TensorBoard started with the very command that the run printed."""
    command = [*shlex.split(printed("See it all", finished.stdout)), "--port", "0"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=root, text=True, **pipes) as server:
        assert server.stdout is not None
        lines = []
        for line in server.stdout:
            lines.append(line)
            if match := re.search(r"http://\S+:\d+/", line):
                break
        else:
            pytest.fail(f"TensorBoard did not start: {''.join(lines)}")
        yield match[0] + "data/"
        server.terminate()


def ask(address: str) -> Any:
    """One answer of TensorBoard's."""
    with urllib.request.urlopen(address, timeout=30) as response:
        content = response.read()
    return json.loads(content) if "json" in response.headers["Content-Type"] else content


@pytest.fixture(scope="class")
def pages(tensorboard: str) -> dict[str, dict[str, set[str]]]:
    """For each page and writer the tags on it, once TensorBoard has read all of them."""
    found: dict[str, dict[str, set[str]]] = {}
    for _ in range(240):
        for page in ("scalars", "histograms", "images", "text"):
            answer = ask(f"{tensorboard}plugin/{page}/tags")
            found[page] = {writer: set(tags) for writer, tags in answer.items()}
        found["graphs"] = {w: set(t) for w, t in ask(f"{tensorboard}plugin/graphs/info").items()}
        if found["graphs"].get("train") is not None and "fc3/bias" in found["histograms"]["train"]:
            break
        time.sleep(0.25)
    return found


class TestTensorBoard:
    """A real TensorBoard, asked over HTTP what it shows."""

    def test_both_writers_are_there(self, tensorboard: str, pages: dict[str, Any]) -> None:
        assert pages
        assert set(ask(f"{tensorboard}runs")) == {"train", "test"}

    def test_scalars_are_in_the_writer_they_belong_to(self, pages: dict[str, Any]) -> None:
        scalars = pages["scalars"]
        assert {"loss", "accuracy", "learning_rate", "images_per_second"} <= scalars["train"]
        assert {"loss", "accuracy"} <= scalars["test"]
        assert not {"learning_rate", "images_per_second"} & scalars["test"]

    def test_every_layer_has_its_histograms(self, pages: dict[str, Any]) -> None:
        expected = {f"{layer}/{kind}" for layer in LAYERS for kind in ("kernel", "bias")}
        assert expected <= pages["histograms"]["train"]

    def test_every_convolution_has_its_pictures(self, pages: dict[str, Any]) -> None:
        kinds = ("kernels", "kernels_by_channel")
        expected = {f"{layer}/{kind}" for layer in LAYERS[:2] for kind in kinds}
        assert expected <= pages["images"]["train"]

    def test_text_and_graph_are_there(self, tensorboard: str, pages: dict[str, Any]) -> None:
        for writer in ("train", "test"):
            assert "config" in pages["text"][writer]
        assert "train" in pages["graphs"]
        graph = ask(f"{tensorboard}plugin/graphs/graph?run=train&conceptual=false")
        for layer in LAYERS:
            assert layer.encode() in graph

    def test_every_step_is_drawn(self, tensorboard: str, pages: dict[str, Any]) -> None:
        assert pages
        points = ask(f"{tensorboard}plugin/scalars/scalars?run=train&tag=loss")
        assert [step for _, step, _ in points] == list(range(1, 10))
        points = ask(f"{tensorboard}plugin/scalars/scalars?run=test&tag=loss")
        assert [step for _, step, _ in points] == [0, 3, 6, 9]
        points = ask(f"{tensorboard}plugin/histograms/histograms?run=train&tag=conv1/kernel")
        assert [step for _, step, _ in points] == [0, 4, 8, 9]

    def test_every_picture_can_be_opened(self, tensorboard: str, pages: dict[str, Any]) -> None:
        assert pages
        found = ask(f"{tensorboard}plugin/images/images?run=train&tag=conv1/kernels&sample=0")
        assert [picture["step"] for picture in found] == [0, 4, 8, 9]
        for picture in found:
            content = ask(f"{tensorboard}plugin/images/individualImage?{picture['query']}")
            with Image.open(io.BytesIO(content)) as opened:
                assert min(opened.size) >= 5 * 6


def idx_folder(folder: Path, dataset: Dataset, **changes: Any) -> Path:
    """The four IDX files, some arrays replaced, e.g. `train_labels=…`."""
    folder.mkdir()
    for (part, kind), name in IDX_FILES.items():
        array = getattr(getattr(dataset, part), kind)
        array = changes.get(f"{part}_{kind}", array[..., 0] if kind == "images" else array)
        write_idx(folder / f"{name}.gz", array.astype(np.uint8))
    return folder


def cut_file(folder: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """Replaces a file's bytes."""
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    return folder


def images_raw(folder: Path, tiny: Dataset, change: Callable[[bytes], bytes]) -> Path:
    """A folder in which the training images are not packed, and changed."""
    idx_folder(folder, tiny)
    (folder / "train-images-idx3-ubyte.gz").unlink()
    write_idx(folder / "train-images-idx3-ubyte", tiny.train.images[..., 0])
    return cut_file(folder, "train-images-idx3-ubyte", change)


MISTAKES: dict[str, tuple[Callable[[Path, Dataset], list[Any]], str]] = {
    "truncated gzip": (
        lambda folder, tiny: [
            "--data-dir",
            cut_file(idx_folder(folder, tiny), "train-images-idx3-ubyte.gz", lambda c: c[:-50]),
        ],
        r"train-images-idx3-ubyte\.gz to be a complete gzip file",
    ),
    "fewer bytes than promised": (
        lambda folder, tiny: ["--data-dir", images_raw(folder, tiny, lambda c: c[:-1])],
        r"contain 10,080 bytes of data.*Received: 10,079",
    ),
    "more bytes than promised": (
        lambda folder, tiny: ["--data-dir", images_raw(folder, tiny, lambda c: c + b"x")],
        r"contain 10,080 bytes of data.*Received: more",
    ),
    "labels outside the classes": (
        lambda folder, tiny: [
            "--data-dir",
            idx_folder(folder, tiny, test_labels=tiny.test.labels + 7),
        ],
        r"Expected test labels from 0 to 2",
    ),
    "counts that differ": (
        lambda folder, tiny: [
            "--data-dir",
            idx_folder(folder, tiny, train_labels=tiny.train.labels[:-1]),
        ],
        r"70 images.*69 labels",
    ),
    "an empty set": (
        lambda folder, tiny: [
            "--data-dir",
            idx_folder(
                folder,
                tiny,
                train_images=tiny.train.images[:0, ..., 0],
                train_labels=tiny.train.labels[:0],
            ),
        ],
        r"at least one image in .*train-images",
    ),
    "a folder without images": (
        lambda folder, tiny: ["--data-dir", folder.parent],
        "Found no images in",
    ),
    "batch size 0": (lambda folder, tiny: ["--batch-size", "0"], "--batch-size.*at least 1"),
    "a negative rate": (lambda folder, tiny: ["--learning-rate=-1"], "--learning-rate.*above 0"),
    "no run to resume": (lambda folder, tiny: ["--resume", folder], "There is no run in"),
}


class TestMistakes:
    """A user's mistake is one line on stderr and exit code 2, never a traceback."""

    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_it_is_one_clear_line(
        self, tmp_path: Path, tiny: Dataset, command_line: CommandLine, mistake: str
    ) -> None:
        make, expected = MISTAKES[mistake]
        result = command_line(*make(tmp_path / "mistake", tiny), "--logdir", tmp_path / "logs")
        assert result.returncode == 2
        assert re.fullmatch(f"Error: .*{expected}.*\n", result.stderr)
        assert result.stdout == ""
        assert not (tmp_path / "logs").exists()

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("--activation rellu", ["rellu", "relu", "sigmoid", "leaky_relu"]),
            ("--activaton relu", ["--activaton", "--activation"]),
            ("--epochs many", ["many"]),
        ],
    )
    def test_a_slip_in_an_option_is_explained_in_a_box(
        self, command_line: CommandLine, words: str, expected: list[str]
    ) -> None:
        result = command_line(*words.split())
        assert result.returncode == 2
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        for word in expected:
            assert word in result.stderr

    def test_a_logdir_that_cannot_be_written(
        self, tmp_path: Path, npz: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SystemExit) as caught:
            train.main(["--data-dir", str(npz), "--logdir", str(tmp_path / "file" / "logs")])
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.fullmatch(
            rf"Error: Cannot write runs to {tmp_path}/file/logs \(Not a directory\): choose a "
            r"different folder with --logdir\.",
            line,
        )

    def test_a_resume_that_contradicts_the_run_names_the_options(
        self, finished: CompletedProcess[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = printed("Run folder", finished.stdout)
        with pytest.raises(SystemExit) as caught:
            train.main(["--resume", run, "--activation", "tanh", "--seed=3"])
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("Error: This run cannot continue with different options:")
        assert "activation (was relu, now tanh)" in line
        assert "seed (was 0, now 3)" in line

    def test_a_name_that_is_taken(
        self,
        finished: CompletedProcess[str],
        short: list[str],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert finished.returncode == 0
        with pytest.raises(SystemExit) as caught:
            train.main([*short, "--run-name", "finished"])
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "finished already contains a run" in line

    def test_images_too_small_for_the_network(
        self,
        tmp_path: Path,
        make_dataset: Callable[..., Dataset],
        save_npz: Callable[[Path, Dataset], Path],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        small = save_npz(tmp_path / "small.npz", make_dataset(pixels=8))
        with pytest.raises(SystemExit) as caught:
            train.main(["--data-dir", str(small), "--logdir", str(tmp_path / "logs")])
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "at least 12x12 pixels" in line

    def test_a_reader_that_stops_reading_is_no_error(self, root: Path) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "lenet.train", "--help"]
        pipes: dict[str, Any] = {"stdout": writer, "stderr": subprocess.PIPE}
        result = subprocess.run(command, cwd=root, text=True, check=False, **pipes)
        os.close(writer)
        assert (result.returncode, result.stderr) == (141, "")


LONG_ENOUGH = ["--batch-size", "2", "--epochs", "9"]  # 315 updates, so that a run is judged.


def test_the_same_advice_is_printed_once() -> None:
    advice = (Advice("Try dropout", {"fc_dropout": 0.5}),)
    found = [
        Finding(f"{rule}.", "curves", True, advice=advice, rule=rule)
        for rule in ("stopped early", "rising loss")
    ]
    lines = train._announced(found, TrainConfig().resolved(100), 100)
    assert [lines[0], lines[2:]] == ["stopped early.", ["rising loss."]]
    assert lines[1].startswith("Try dropout: ") and "--fc-dropout 0.5" in lines[1]


class TestOutcomes:
    """Exit codes and advice of runs that do not simply go well; in this process, for speed."""

    def test_a_run_that_diverges_ends_with_3(
        self, short: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["--optimizer", "sgd", "--learning-rate", "1e6", "--run-name", "diverged"]
        assert train.main([*short, "--epochs", "20", *words]) == 3
        shown = capsys.readouterr()
        assert re.search(r"Stopped at step \d+: the (training|test) loss is (nan|inf)", shown.err)
        assert "the weights diverged (learning rate 1e+06)" in shown.out
        advised = shlex.split(printed("Try the default learning rate .*:", shown.out))
        config = cli.parse_config(advised[3:], "program", "", TrainConfig())
        assert (config.learning_rate, config.optimizer, config.epochs) == (0.01, "sgd", 20)

    def test_even_a_quiet_run_says_that_it_has_not_begun_to_learn_and_what_to_try(
        self, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = f"--data-dir {npz} --logdir {tmp_path} --activation sigmoid --optimizer sgd"
        assert train.main([*words.split(), *LONG_ENOUGH, "--quiet"]) == 0
        shown = capsys.readouterr().out
        assert "Epoch" not in shown
        assert "has not begun to learn" in shown
        assert "ln 3 = 1.10)" in shown
        advised = shlex.split(printed("Try Adam, which .*:", shown))
        assert advised[1:3] == ["-m", "lenet.train"]
        config = cli.parse_config(advised[3:], "program", "", TrainConfig())
        assert (config.activation, config.optimizer) == ("sigmoid", "adam")
        assert config.data_dir == npz

    def test_even_relu_with_adam_may_not_have_begun(
        self, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = f"--data-dir {npz} --logdir {tmp_path} --learning-rate 1e-9 --quiet"
        assert train.main([*words.split(), *LONG_ENOUGH, "--no-figures"]) == 0
        shown = capsys.readouterr().out
        assert "has not begun to learn" in shown
        advised = printed("Try the default learning rate .*:", shown)
        assert "--learning-rate 0.001" in advised, "and never the command it came from"

    def test_a_run_that_overfits_says_so_and_what_to_try(
        self,
        make_dataset: Callable[..., Dataset],
        save_npz: Callable[[Path, Dataset], Path],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        easy = make_dataset()
        half = np.arange(30) % 2  # Of the test images, with another class's label.
        wrong = Split(easy.test.images, (easy.test.labels + half.astype(np.int32)) % 3)
        path = save_npz(tmp_path / "odd.npz", dataclasses.replace(easy, test=wrong))
        words = f"--data-dir {path} --logdir {tmp_path} --epochs 12 --no-figures --quiet"
        assert train.main([*words.split(), "--batch-size", "10"]) == 0
        shown = capsys.readouterr().out
        share = printed("Train accuracy", shown).split(" %")[0]
        assert float(share) > 90 > float(printed("Test accuracy", shown).split(" %")[0])
        assert re.search(
            r"Overfitting: the accuracy is [\d.]+ % on the training batches of the last epoch, and the "
            r"test accuracy is [\d.]+ % \(30 test images: 95 % interval \d+ to \d+ %\), a gap",
            shown,
        )
        assert "Stop when" not in shown  # There are too few images to validate on.
        advised = shlex.split(printed("Try dropout:", shown))
        config = cli.parse_config(advised[3:], "program", "", TrainConfig())
        assert (config.fc_dropout, config.batch_size, config.data_dir) == (0.5, 10, path)
        assert config.logdir == tmp_path

    def test_without_network_the_digits_are_not_taken_for_mnist(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setitem(downloads.MIRRORS, "mnist", ("http://127.0.0.1:9/",))
        monkeypatch.setenv("LENET_CACHE", str(tmp_path / "cache"))
        assert train.main(["--logdir", str(tmp_path / "logs"), "--max-steps", "2"]) == 0
        shown = capsys.readouterr()
        assert shown.err.startswith("Note: MNIST is not on this computer")
        assert "on digits" in printed("Test accuracy", shown.out)
        (run,) = (tmp_path / "logs").iterdir()
        assert run.name.startswith("digits-lenet-relu-adam-seed0-")
        assert json.loads((run / "config.json").read_text())["dataset"]["name"] == "digits"

    def test_more_epochs_simply_continue(
        self,
        finished: CompletedProcess[str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        shutil.copytree(printed("Run folder", finished.stdout), tmp_path / "run")
        assert train.main(["--resume", str(tmp_path / "run"), "--epochs", "5"]) == 0
        shown = capsys.readouterr().out
        assert "after step 9" in shown
        assert re.findall(r"^Epoch (\d)/5", shown, re.MULTILINE) == ["4", "5"]
        assert json.loads((tmp_path / "run" / "status.json").read_text())["step"] == 15

    def test_a_resume_within_an_epoch_counts_all_batches_of_the_epoch(
        self,
        short: list[str],
        finished: CompletedProcess[str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert train.main([*short, "--logdir", str(tmp_path), "--max-steps", "8"]) == 0
        first = capsys.readouterr().out
        assert "mean over the batches of the last 3 steps" in first
        resume = ["--resume", printed("Run folder", first)]
        assert train.main([*resume, "--max-steps", "9"]) == 0
        expected = printed("Train accuracy", finished.stdout)
        assert printed("Train accuracy", capsys.readouterr().out) == expected
        assert train.main(resume) == 0
        again = capsys.readouterr().out
        assert f"This run is already done. To train longer: {' '.join(resume)} --epochs N" in again
        assert "Resuming" not in again
        assert printed("Train accuracy", again) == expected

    def test_options_that_may_change_on_resume_leave_the_weights_as_they_are(
        self, fit: Callable[..., Trainer], go_on: Callable[..., Trainer]
    ) -> None:
        changes: dict[str, Any] = {
            "max_steps": None, "log_every": 2, "inspect_every": 2, "eval_every": 1, "eval_size": 5,
            "checkpoint_every": 1, "keep": 3, "profile": True, "figures": False, "quiet": True,
            "threads": 1, "device": "cpu", "early_stopping": 0,
        }  # fmt: skip
        may_change = {
            option.name
            for option in dataclasses.fields(TrainConfig)
            if option.metadata["on_resume"] != "fixed"
        }
        others = {"epochs", "dataset", "data_dir", "resume", "like", "early_stopping"}
        assert may_change == {*changes, *others}
        begun = fit(max_steps=4).history.run
        resumed = go_on(begun, **changes).history
        assert (resumed.state, resumed.step) == ("done", 9)
        assert resumed.weights_sha256 == fit().history.weights_sha256

    def test_more_epochs_are_refused_under_a_schedule_that_counted_them(
        self, fit: Callable[..., Trainer], npz: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = {"dataset": load_dataset("auto", npz), "data_dir": npz, "schedule": "cosine"}
        run = fit(**options).history.run
        with pytest.raises(SystemExit) as caught:
            train.main(["--resume", str(run), "--epochs", "5"])
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "cannot continue to 5 epochs: with schedule=cosine" in line


@pytest.fixture(scope="module")
def long_npz(
    tmp_path_factory: pytest.TempPathFactory,
    make_dataset: Callable[..., Dataset],
    save_npz: Callable[[Path, Dataset], Path],
) -> Path:
    """Images enough for a signal to arrive in the middle of an epoch."""
    file = tmp_path_factory.mktemp("images") / "long.npz"
    return save_npz(file, make_dataset(train=802, name="long"))


LONG = "--batch-size 4 --epochs 3 --inspect-every 200 --checkpoint-every 100 --no-figures".split()


@pytest.fixture(scope="module")
def uninterrupted(long_npz: Path, fit: Callable[..., Trainer]) -> Trainer:
    """The run of 603 steps that others are measured by."""
    return fit(
        dataset=load_dataset("auto", long_npz),
        data_dir=long_npz,
        batch_size=4,
        epochs=3,
        inspect_every=200,
        checkpoint_every=100,
    )


@contextlib.contextmanager
def running(
    root: Path, logdir: Path, long_npz: Path, least_rows: int
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A long run that has recorded some steps already, and its folder."""
    words = ["--data-dir", str(long_npz), "--logdir", str(logdir), "--run-name", "run", *LONG]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "lenet.train", *words]
    with subprocess.Popen(command, cwd=root, text=True, **pipes) as process:
        metrics = logdir / "run" / "metrics.csv"
        while process.poll() is None:
            if metrics.exists() and metrics.read_bytes().count(b"\n") > least_rows:
                break
            time.sleep(0.01)
        yield process, logdir / "run"
        process.kill()


class TestSignals:
    """A run that is interrupted goes on to the same bits."""

    def test_sigint_saves_and_the_printed_command_goes_on(
        self, tmp_path: Path, root: Path, long_npz: Path, uninterrupted: Trainer
    ) -> None:
        with running(root, tmp_path, long_npz, 50) as (process, run):
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, "")
        status = json.loads((run / "status.json").read_text())
        assert status["state"] == "interrupted"
        assert 50 < status["step"] < 603
        assert (run / "checkpoints" / f"step-{status['step']:08d}").is_dir()
        command = re.search(r"To continue:\n +(.*)\n", output)
        assert command is not None
        resumed = subprocess.run(
            shlex.split(command[1]), cwd=root, capture_output=True, text=True, check=False
        )
        assert (resumed.returncode, resumed.stderr) == (0, "")
        sha256 = printed("Weights +sha256", resumed.stdout)
        assert sha256 == uninterrupted.history.weights_sha256
        assert rows(run) == rows(uninterrupted.history.run)

    def test_sigterm_saves_too(self, tmp_path: Path, root: Path, long_npz: Path) -> None:
        with running(root, tmp_path, long_npz, 150) as (process, run):
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (143, "")
        status = json.loads((run / "status.json").read_text())
        found = checkpoints.newest_valid(run / "checkpoints")
        assert found is not None
        assert (status["state"], status["step"]) == ("interrupted", found.step)

    def test_sigkill_costs_nothing_but_the_steps_since_the_last_checkpoint(
        self, tmp_path: Path, root: Path, long_npz: Path, uninterrupted: Trainer
    ) -> None:
        with running(root, tmp_path, long_npz, 250) as (process, run):
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        assert json.loads((run / "status.json").read_text())["state"] == "running"
        assert train.main(["--resume", str(run)]) == 0
        status = json.loads((run / "status.json").read_text())
        assert status["weights_sha256"] == uninterrupted.history.weights_sha256
        assert rows(run) == rows(uninterrupted.history.run)
        for tag in ("loss", "accuracy", "learning_rate"):
            steps, _ = events.read_scalars(run / "train")[tag]
            assert steps.tolist() == list(range(1, 604))
        found = events.read_tensors(run / "train")
        for tag in ("conv1/kernel", "conv1/kernels"):
            assert found[tag][0].tolist() == [0, 200, 400, 600, 603]

    def test_sigint_while_tensorflow_loads_is_no_crash(
        self, tmp_path: Path, root: Path, npz: Path
    ) -> None:
        words = ["--data-dir", str(npz), "--logdir", str(tmp_path)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-m", "lenet.train", *words]
        with subprocess.Popen(command, cwd=root, text=True, **pipes) as process:
            assert process.stdout is not None
            assert "Loading TensorFlow" in process.stdout.readline()
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert errors.splitlines()[-1] == "Interrupted before training began. Nothing was saved."
        assert list(tmp_path.iterdir()) == []


class TestFullDisk:
    """A disk that takes no more bytes: one line, and what was saved before stays whole."""

    def test_older_checkpoints_stay_and_the_run_goes_on_later(
        self, tmp_path: Path, finished: CompletedProcess[str], command_line: CommandLine
    ) -> None:
        run = tmp_path / "run"
        shutil.copytree(printed("Run folder", finished.stdout), run)
        before = {path: path.read_bytes() for path in (run / "checkpoints").rglob("*.*")}
        assert len(before) == 2 * 4

        def fill() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (64_000, 64_000))

        result = command_line("--resume", run, "--epochs", "5", preexec_fn=fill)
        assert result.returncode == 2
        assert re.fullmatch(
            r"Error: .*(File too large|TensorBoard events could be written).*\n", result.stderr
        )
        assert {path: path.read_bytes() for path in (run / "checkpoints").rglob("*.*")} == before
        assert train.main(["--resume", str(run)]) == 0
        status = json.loads((run / "status.json").read_text())
        assert (status["state"], status["step"]) == ("done", 15)

    def test_a_new_run_that_cannot_write_says_so(
        self, tmp_path: Path, npz: Path, command_line: CommandLine
    ) -> None:
        def fill() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

        words = ["--data-dir", npz, "--logdir", tmp_path, "--run-name", "run"]
        result = command_line(*words, preexec_fn=fill)
        assert result.returncode == 2
        assert re.fullmatch(
            r"Error: .*(File too large|TensorBoard events could be written).*\n", result.stderr
        )
        assert runs.read_status(tmp_path / "run")["state"] == "failed"
