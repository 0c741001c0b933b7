"""One page that compares all runs of a folder, read back as a user reads it, also in a browser."""

from __future__ import annotations

import csv
import html
import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from experiments.grid.options import parse
from experiments.report import page as report
from experiments.report.__main__ import main
from experiments.report.advice import suggestions
from experiments.report.data import ReportError
from experiments.report.reading import read_comparison
from lenet import cli
from lenet.config import TrainConfig
from lenet.data.splits import Split
from lenet.diagnosis import EARLY_STEPS, Advice
from lenet.recording import inspections, predictions, runs
from lenet.recording.inspections import Inspection, Layer

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

HOSTILE = "</script><img src=x onerror=alert(1)>"
STEPS_PER_EPOCH, EPOCHS = 160, 2
LAST = STEPS_PER_EPOCH * EPOCHS
INSPECTED = (0, STEPS_PER_EPOCH, LAST)
SHAPES = {
    "conv1": (3, 3, 1, 4),
    "conv2": (3, 3, 4, 9),
    "fc1": (12, 6),
    "fc2": (6, 5),
    "fc3": (5, 3),
}
MLP_SHAPES = {"fc1": (144, 6), "fc2": (6, 5), "fc3": (5, 3)}
ACCURACY = {
    ("relu", "adam"): (0.985, 0.983, 0.984),
    ("relu", "sgd"): (0.982, 0.986, 0.984),
    ("sigmoid", "adam"): (0.955, 0.957, 0.956),
    ("sigmoid", "sgd"): (0.33, 0.33, 0.33),
}
Make = Callable[..., Path]


def make_run(
    folder: Path,
    activation: str = "relu",
    optimizer: str = "adam",
    seed: int = 0,
    accuracy: float = 0.98,
    name: str | None = None,
    state: str = "done",
    inspect: bool = True,
    shapes: Mapping[str, tuple[int, ...]] = SHAPES,
    measured: bool = True,
    class_names: tuple[str, ...] = ("a", "b", "c"),
    sha256: str = "0" * 64,
    dataset: str = "tiny",
    **options: Any,
) -> Path:
    """Writes a run's folder as training would, without training."""
    name = name or f"{activation}-{optimizer}-seed{seed}"
    config = TrainConfig(
        activation=activation, optimizer=optimizer, seed=seed, epochs=EPOCHS, batch_size=10,
        logdir=folder, run_name=name, **options,
    ).resolved(10 * STEPS_PER_EPOCH)  # fmt: skip
    run = folder / name
    run.mkdir(parents=True)
    described = {
        "name": dataset, "sha256": sha256, "train": 10 * STEPS_PER_EPOCH, "test": 6000,
        "image_shape": [12, 12, 1], "class_names": list(class_names),
    }  # fmt: skip
    machine = {"python": "3.11", "tensorflow": "2.21", "keras": "3.15", "numpy": "2.4"}
    runs.write_config(run, config, described, {**machine, "cpu_model": "a CPU", "cpus": 2})
    learns = accuracy > 0.5
    if measured:
        chance = math.log(3)
        steps = range(1, LAST + 1)
        losses = [chance / (1 + step) if learns else chance for step in steps]
        train = [(s, 1, "train", loss, accuracy) for s, loss in zip(steps, losses, strict=True)]
        test = [(0, 0, "test", chance, 1 / 3)]
        test += [
            (STEPS_PER_EPOCH, 1, "test", losses[STEPS_PER_EPOCH - 1], accuracy - 0.02),
            (LAST, 2, "test", losses[-1], accuracy),
        ]
        runs.append_metrics(run, [*train, *test])
    if inspect:
        for step in INSPECTED:
            inspections.save(run / runs.INSPECTIONS, _inspection(step, seed, learns, shapes))
    runs.write_status(
        run, {"state": state, "step": LAST if measured else 0, "epoch": EPOCHS, "seconds": 3.0,
              "test_loss": 0.1, "test_accuracy": accuracy, "images_per_second": 1000.0,
              "weights_sha256": f"{seed:064d}"},
    )  # fmt: skip
    return run


def _inspection(
    step: int, seed: int, learns: bool, shapes: Mapping[str, tuple[int, ...]]
) -> Inspection:
    draw = np.random.default_rng(seed)
    layers = {}
    for depth, (name, shape) in enumerate(shapes.items()):
        kernel = draw.normal(0, 0.1, shape).astype(np.float32) * (1 + 0.02 * step)
        layers[name] = Layer(
            kernel=kernel, bias=np.zeros(shape[-1], np.float32), kernel_gradient=kernel,
            bias_gradient=np.zeros(shape[-1], np.float32), activation=np.zeros((30, shape[-1])),
            diagnostics={"gradient_norm": 1.0 if learns else 10.0 ** (depth - 6),
                         "dead_fraction": 0.0, "saturated_fraction": 0.1,
                         "slope": 0.7 if learns else 0.25, "distance_moved": 0.02 * step,
                         "update_ratio": 0.001},
        )  # fmt: skip
    features = draw.normal(size=(30, 5)).astype(np.float32)
    labels = np.repeat(np.arange(3, dtype=np.int32), 10)
    maps = {"conv1": np.zeros((4, 4, 4), np.float32)} if "conv1" in shapes else {}
    return Inspection(step, layers, maps, maps, features, "fc2", labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two activations, two optimizers and three seeds, as a grid leaves them."""
    folder = tmp_path_factory.mktemp("logdir") / "demo"
    for (activation, optimizer), accuracies in ACCURACY.items():
        for seed, accuracy in enumerate(accuracies):
            make_run(folder, activation, optimizer, seed, accuracy, data_dir=Path("some images"))
    make_run(folder / "tuning", name="relu-adam-learning_rate0.01-seed0", learning_rate=0.01)
    command = "python -m experiments.grid --name demo --data-dir 'some images' --logdir logs"
    content = {"command": command, "combinations": []}
    (folder / "grid.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return report.write_report(folder).read_text()


def plain(element: str) -> str:
    """The text of an element as a reader sees it."""
    return html.unescape(re.sub(r"<[^>]*>", "", element)).replace("\N{NO-BREAK SPACE}", " ").strip()


def table(page: str) -> list[dict[str, str]]:
    """The rows of the leader board, each cell by the heading of its column."""
    board = re.search(
        r'<table class="board(?: wordy)?">\s*<thead><tr>\s*<th scope="col" class="number" aria-sort.*?</table>',
        page,
        re.S,
    )
    assert board
    head, *rows = re.findall(r"<tr>(.*?)</tr>", board[0], re.S)
    headings = [plain(heading) for heading in re.findall(r"<th.*?</th>", head, re.S)]
    cells = [re.findall(r"<t[dh][^>]*>.*?</t[dh]>", row, re.S) for row in rows]
    return [dict(zip(headings, map(plain, row), strict=True)) for row in cells]


def test_the_leader_board_has_mean_spread_and_ties(page: str) -> None:
    rows = table(page)
    assert [(row["rank"], row["combination"], row["test accuracy"]) for row in rows] == [
        ("1–2", "relu · sgd", "98.40 ± 0.20 %"),
        ("1–2", "relu · adam", "98.40 ± 0.10 %"),
        ("3", "sigmoid · adam", "95.60 ± 0.10 %"),
        ("4", "sigmoid · sgd", "33.00 ± 0.00 %"),
    ]
    assert [row["learning rate"] for row in rows] == ["0.01", "0.001", "0.001", "0.01"]
    assert [row["seconds per epoch"] for row in rows] == ["1.5"] * 4
    assert [row["epochs to 95 %"] for row in rows] == ["1", "1", "2", "–"]
    assert [row["epochs to 98 %"] for row in rows] == ["2", "2", "–", "–"]
    assert rows[3]["diagnosis"] == "has not begun to learn (vanishing gradients)"


def test_the_page_says_what_was_compared_and_how_fairly(page: str) -> None:
    text = html.unescape(page)
    assert "Which activation and which optimizer work best for LeNet on tiny" in text
    assert "1,600 training and 6,000 test images" in text
    assert "Python 3.11, TensorFlow 2.21, Keras 3.15, NumPy 2.4" in text and "a CPU" in text
    assert "Each optimizer used its default rate (sgd 0.01, adam 0.001)" in text
    assert "the kernels recorded at step 0 are identical, bit for bit" in text
    assert "the same 30 training images" in text
    assert "python -m experiments.grid --name demo" in re.sub("<[^>]*>", "", text)
    assert "learning_rate0.01" not in text, "trials of --tune are no part of the comparison"


def test_every_sentence_leads_to_a_plot_that_is_there(page: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert len(re.findall(r'\bid="', page)) == len(ids), "an id is given twice"
    targets = re.findall(r'href="#([^"]+)"', page)
    assert targets and set(targets) <= ids
    sentences = re.findall(r'<p>[^<]*(?:<em>[^<]*</em>)? <a class="see" href="#([^"]+)">', page)
    assert len(sentences) >= 4


def card(page: str, label: str) -> str:
    """The text of a combination's card."""
    cards = re.findall(r"<article.*?</article>", page, re.S)
    (found,) = [html for html in cards if plain(html).startswith(label)]
    return found


def commands(html_text: str) -> list[list[str]]:
    """The commands on a card, word by word."""
    found = re.findall(r'<p class="advice">[^<]*<code>(.*?)</code>', html_text, re.S)
    return [shlex.split(plain(command)) for command in found]


def test_advice_that_the_study_has_tried_says_what_it_reached(page: str) -> None:
    text = plain(card(page, "sigmoid · sgd"))
    assert "small gradients make full steps too. In this study, sigmoid · adam reached" in text
    assert "reached 95.60 ± 0.10 %." in text
    assert "relu · sgd reached 98.40 ± 0.20 %." in text
    assert 'In this study, <a href="#c3">sigmoid · adam</a>' in card(page, "sigmoid · sgd")


def test_to_train_beyond_a_limit_of_the_steps_was_not_tried(tmp_path: Path) -> None:
    make_run(tmp_path, max_steps=100)
    comparison = read_comparison(tmp_path)
    longer = Advice("Train longer", {"max_steps": None})
    (suggestion,) = suggestions(comparison, comparison.runs[0], [longer], tune=False)
    assert suggestion.command and "--max-steps" not in suggestion.command
    assert not suggestion.outcome, "its own outcome is not that of longer training"


def test_what_was_not_tried_is_a_command_that_runs_in_the_folders_the_user_gave(
    page: str, folder: Path
) -> None:
    train, tune = commands(card(page, "sigmoid · sgd"))
    assert train[1:3] == ["-m", "lenet.train"] and tune[1:3] == ["-m", "experiments.grid"]
    config = cli.parse_config(train[3:], "lenet.train", "", TrainConfig())
    assert (config.data_dir, config.logdir) == (Path("some images"), folder.parent)
    assert (config.epochs, config.batch_size, config.learning_rate) == (EPOCHS, 10, 0.1)
    chosen = parse(tune[3:], "experiments.grid", "")
    assert chosen.tune and chosen.name == "demo-tuned"
    assert chosen.lists["activation"] == ("sigmoid",) and chosen.lists["optimizer"] == ("sgd",)
    assert chosen.lists["seed"] == (0, 1, 2)
    assert (chosen.shared.logdir, chosen.shared.data_dir) == (folder.parent, Path("some images"))
    assert sum(len(commands(article)) for article in page.split("<article")[1:]) == 2
    again = f"--name demo-tuned --data-dir 'some images' --logdir {folder.parent} --tune"
    assert again in plain(page), "the whole grid, with rates chosen"


def test_a_card_gives_every_seed_and_the_seed_of_each_sentence(page: str) -> None:
    text = plain(card(page, "relu · sgd"))
    assert "✓" not in text and "learns well" in text
    assert "Test accuracy: 98.20 % (seed 0), 98.60 % (seed 1), 98.40 % (seed 2)." in text
    assert "at fc3. learning curves" in text, "the sentence is true for all seeds"
    assert "its numbers are those of seed 0" in plain(page)
    assert '<article id="c0" class="right">' in page and '<article id="c2" class="wrong">' in page


def test_a_network_that_always_answers_the_same_explains_its_small_spread(tmp_path: Path) -> None:
    for seed in (0, 1):
        run = make_run(tmp_path, "sigmoid", "sgd", seed=seed, accuracy=0.33)
        images = Split(np.zeros((3, 4, 4, 1), np.uint8), np.arange(3, dtype=np.int32))
        always_a = np.eye(3, dtype=np.float32)[[0, 0, 0]]
        predictions.save(run, predictions.predictions_of(LAST, always_a, images))
    text = plain(report.write_report(tmp_path).read_text())
    assert '33.00 % (seed 0, always answers "a"), 33.00 % (seed 1, always answers "a")' in text
    assert "so the spread over seeds means nothing here" in text


def test_one_row_per_run_for_pandas(folder: Path, page: str) -> None:
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows][:2] == ["relu-sgd-seed0", "relu-sgd-seed1"]
    assert len(rows) == 12
    first = rows[0]
    assert (first["activation"], first["optimizer"], first["seed"]) == ("relu", "sgd", "0")
    assert float(first["test_accuracy"]) == 0.982
    assert (first["epochs_to_95"], first["epochs_to_98"]) == ("1.0", "2.0")
    assert [row["epochs_to_95"] for row in rows if row["activation"] == "sigmoid"][:3] == [""] * 3
    assert first["state"] == "done" and first["dataset"] == "tiny"
    content = json.loads((folder / "results.json").read_text())
    assert len(content) == 12 and content[0]["test_accuracy"] == 0.982
    assert content[0].keys() == first.keys()


def test_the_page_is_one_file_that_asks_nothing_of_a_network(page: str) -> None:
    addresses = re.findall(r"""\b(?:src|href|srcset|action|data)=["']?([^"'\s>]+)""", page)
    assert all(address.startswith(("data:image/", "#", "results.")) for address in addresses)
    assert "@import" not in page and "url(" not in page
    assert len(page) < 1_700_000


def test_the_report_needs_no_tensorflow(root: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "logdir", tmp_path / "pages" / "page.html"
    make_run(folder)
    program = (
        "import sys\nfrom experiments.report.__main__ import main\n"
        f"main([{str(folder)!r}, '--output', {str(output)!r}])\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"Report  {output}\n[]\n"
    assert (output.parent / "results.csv").exists()


def _mistake(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([str(folder)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and error.count("\n") == 1
    return error


def test_a_folder_without_runs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "There is no folder" in _mistake(capsys, tmp_path / "absent")
    assert "There are no runs in" in _mistake(capsys, tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text.txt").write_text("not a run")
    assert "There are no runs in" in _mistake(capsys, tmp_path)
    run = make_run(tmp_path / "logdir", inspect=False)
    assert "is a single run" in _mistake(capsys, run)
    assert not (tmp_path / "report.html").exists()


def test_runs_on_different_images_are_never_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, name="one", inspect=False)
    make_run(tmp_path, name="two", inspect=False, sha256="1" * 64, dataset="mnist")
    error = _mistake(capsys, tmp_path)
    for words in ("different data sets", "tiny (sha256 00000000…, 1 run, e.g. one)", "mnist"):
        assert words in error


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    make_run(tmp_path, "relu", accuracy=0.98, inspect=False)
    make_run(tmp_path, "tanh", accuracy=0.981, inspect=False)
    page = report.write_report(tmp_path).read_text()
    rows = [(row["rank"], row["combination"], row["test accuracy"]) for row in table(page)]
    assert rows == [("1–2", "tanh · adam", "98.10 %"), ("1–2", "relu · adam", "98.00 %")]
    assert "±" not in page
    assert "There is only one seed" in page and "has no grid.json" in page


def test_unfinished_runs_are_shown_but_not_ranked(tmp_path: Path) -> None:
    make_run(tmp_path, "relu", seed=0)
    make_run(tmp_path, "relu", seed=1, state="running", accuracy=0.7)
    make_run(tmp_path, "relu", "momentum", inspect=False)
    make_run(tmp_path, "tanh", inspect=False)
    make_run(tmp_path, "sigmoid", state="diverged", inspect=False)
    make_run(tmp_path, "elu", measured=False, inspect=False, state="failed")
    broken = tmp_path / "selu-adam-seed0"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    never = tmp_path / "gelu-adam-seed0"
    never.mkdir()
    (never / "status.json").write_text('{"state": "failed", "error": "no images"}')
    page = report.write_report(tmp_path).read_text()
    rows = {row["combination"]: row for row in table(page)}
    assert rows["relu · adam"]["seeds"] == "1 of 2 (1 stopped)"
    assert rows["relu · adam"]["test accuracy"] == "98.00 %"
    assert rows["tanh · adam"]["test accuracy"] == "98.00 %"
    for label, state in (("sigmoid · adam", "diverged"), ("elu · adam", "failed")):
        assert rows[label]["rank"] == "–" and rows[label]["diagnosis"] == state
    text = html.unescape(page)
    without = "relu-momentum-seed0, sigmoid-adam-seed0, tanh-adam-seed0 and elu-adam-seed0"
    assert f"No inspections in {without}" in text
    assert text.count("this run has no inspections") == 8, "one in each part of Inside relu"
    assert "Inside relu" in text and "Inside tanh" not in text
    assert "selu-adam-seed0 is left out" in text
    assert "gelu-adam-seed0 failed before training began: no images" in text
    assert re.search(r"--resume.*elu-adam-seed0", re.sub("<[^>]*>", "", text))
    assert "of 6 runs, 1 diverged, 1 failed and 1 stopped." in text


def test_a_run_that_goes_on_is_told_from_one_that_was_killed(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", inspect=False)
    with runs.locked(run):
        assert read_comparison(tmp_path).runs[0].state == "running"
        page = report.write_report(tmp_path).read_text()
    assert table(page)[0]["test accuracy"] == "98.00 % so far"
    assert read_comparison(tmp_path).runs[0].state == "stopped"


def test_runs_without_any_measurement_make_a_page(tmp_path: Path) -> None:
    make_run(tmp_path, measured=False, inspect=False, state="running")
    page = report.write_report(tmp_path).read_text()
    assert "No run has finished yet" in page and "Nothing was measured" in page


def test_a_damaged_inspection_and_a_torn_line_are_passed_over(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with (run / "metrics.csv").open("a") as file:
        file.write("17,3,tr")
    (run / "inspections" / "step-00000008.npz").write_bytes(b"torn")
    page = report.write_report(tmp_path).read_text()
    assert table(page)[0]["test accuracy"] == "98.00 %"


def test_damaged_inspections_are_named_and_leave_no_link_without_a_figure(tmp_path: Path) -> None:
    run = make_run(tmp_path, accuracy=0.33)
    torn = sorted((run / "inspections").iterdir())[1:]
    for path in torn:
        path.write_bytes(b"torn")
    page = report.write_report(tmp_path).read_text()
    assert "vanishing" in page and "Inside relu" in page
    torn[0].with_name("step-00000000.npz").write_bytes(b"")
    page = report.write_report(tmp_path).read_text()
    assert "Inside relu" not in page
    for path in torn:
        assert f"An inspection is left out: {path} is not a complete .npz file" in page
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_a_network_without_convolutions_is_compared_to_one_with_them(tmp_path: Path) -> None:
    make_run(tmp_path, name="lenet", model="lenet")
    make_run(tmp_path, name="mlp", model="mlp", shapes=MLP_SHAPES)
    page = report.write_report(tmp_path).read_text()
    text = html.unescape(page)
    assert "Which model works best on tiny, how fast does the network learn, and why?" in text
    assert "did not all start from the same weights" in text
    assert text.count("This network has no convolution.") == 1
    assert len(re.findall(r'<div class="film"', page)) == 2, "two convolutions of one network"
    assert page.count("Weights before and after training, relu") == 2
    assert page.count("Gradient norm by layer, relu") == 2


def test_a_comparison_without_any_convolution_has_no_part_on_kernels(tmp_path: Path) -> None:
    for activation in ("relu", "tanh"):
        make_run(tmp_path, activation, model="mlp", shapes=MLP_SHAPES)
    page = report.write_report(tmp_path).read_text()
    assert "Which activation works best for the MLP on tiny" in html.unescape(page)
    for absent in ("Kernels", "no convolution", 'class="film"', 'id="step"'):
        assert absent not in page.split("<script>")[0].split("</style>")[1], absent
    assert page.count("Weights before and after training, ") == 2
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_the_page_gives_the_outcome_of_tuning(tmp_path: Path) -> None:
    make_run(tmp_path, learning_rate=0.003, inspect=False)
    make_run(tmp_path, "tanh", learning_rate=0.001, inspect=False)
    chosen = {
        "relu-adam": {"best": 0.003, "at_edge": False, "tried": []},
        "tanh-adam": {"best": 0.001, "at_edge": True, "tried": []},
    }
    tuning = {"held_out": 0.1, "seed": 0, "combinations": chosen}
    planned = [{"folder": "relu-adam-seed0"}, {"folder": "elu-adam-seed0"}]
    content = {"command": "python -m x", "tuning": tuning, "combinations": planned}
    (tmp_path / "grid.json").write_text(json.dumps(content))
    text = html.unescape(report.write_report(tmp_path).read_text())
    assert "relu-adam 0.003, tanh-adam 0.001" in text and "never on the test images" in text
    assert "For tanh-adam, the best rate was the smallest or the largest" in text
    assert "Not started yet: elu-adam-seed0" in text
    assert [c.label for c in read_comparison(tmp_path).combinations] == [
        "relu · adam",
        "tanh · adam",
    ]


def test_other_options_that_differ_make_combinations(tmp_path: Path) -> None:
    make_run(tmp_path, name="small", learning_rate=0.001, inspect=False)
    make_run(tmp_path, name="large", learning_rate=0.01, inspect=False)
    make_run(tmp_path, name="he", learning_rate=0.01, init="he_normal", inspect=False)
    labels = [combination.label for combination in read_comparison(tmp_path).combinations]
    assert labels == [
        "relu · adam · init glorot_uniform · learning rate 0.001",
        "relu · adam · init glorot_uniform · learning rate 0.01",
        "relu · adam · init he_normal · learning rate 0.01",
    ]


def test_the_early_steps_of_the_rule_are_those_of_its_sentence() -> None:
    from lenet.diagnosis import RULES

    assert f"first {EARLY_STEPS} steps" in RULES["vanishing"][1]


def test_a_folder_as_output_that_cannot_be_written_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        main([str(folder), "--output", str(tmp_path / "file" / "page.html")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_error_is_a_value_error() -> None:
    assert issubclass(ReportError, ValueError)


@pytest.mark.browser
class TestInABrowser:
    @pytest.fixture
    def opened(self, browser: Chrome, folder: Path, page: str) -> Chrome:
        browser.get_log("browser")
        browser.get((folder / "report.html").as_uri())
        return browser

    def column(self, browser: Chrome, name: str) -> list[str]:
        """The cells of a column of the leader board, from top to bottom."""
        return [row[name] for row in table(browser.page_source)]

    def test_opens_without_errors_or_requests(self, opened: Chrome) -> None:
        assert opened.get_log("browser") == []
        requests = opened.execute_script(
            "return performance.getEntriesByType('resource').map(entry => entry.name)"
        )
        assert [name for name in requests if not name.startswith("data:")] == []
        broken = opened.execute_script(
            "return Array.from(document.images).filter(i => !i.naturalWidth).length"
        )
        assert broken == 0
        wide = opened.execute_script("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0

    @pytest.mark.parametrize("look", ["light", "dark"])
    @pytest.mark.parametrize("width", [375, 1300])
    def test_a_checker_finds_no_serious_barrier(
        self, opened: Chrome, look: str, width: int
    ) -> None:
        """axe-core finds missing names, low contrast and controls that no key can reach."""
        if not (checker := os.environ.get("LENET_AXE")):
            pytest.skip("needs the file axe.min.js of axe-core (npm) in $LENET_AXE")
        media = {"features": [{"name": "prefers-color-scheme", "value": look}]}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            opened.execute_script(
                "document.querySelectorAll('details').forEach(d => d.open = true)"
            )
            # The page's policy forbids other scripts, so the browser's driver runs this one.
            found = opened.execute_async_script(
                Path(checker).read_text()
                + ";axe.run().then(found => arguments[arguments.length - 1](found.violations))"
            )
        finally:
            opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        serious = [
            (barrier["id"], barrier["help"], [node["target"] for node in barrier["nodes"]][:5])
            for barrier in found
            if barrier["impact"] in ("serious", "critical")
        ]
        assert serious == []

    def test_a_click_on_a_heading_sorts(self, opened: Chrome) -> None:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        elements = opened.find_elements(By.CSS_SELECTOR, "#board thead th")
        headings = dict(zip(table(opened.page_source)[0], elements, strict=True))

        def order(name: str) -> str | None:
            return headings[name].get_attribute("aria-sort")

        assert order("rank") == "ascending"
        headings["epochs to 98 %"].find_element(By.TAG_NAME, "button").click()
        assert self.column(opened, "epochs to 98 %") == ["2", "2", "–", "–"]
        assert [name for name in headings if order(name) != "none"] == ["epochs to 98 %"]
        accuracy = headings["test accuracy"].find_element(By.TAG_NAME, "button")
        accuracy.send_keys(Keys.ENTER)
        assert order("test accuracy") == "descending"
        assert self.column(opened, "test accuracy")[-1] == "33.00 ± 0.00 %"
        accuracy.send_keys(Keys.SPACE)
        assert order("test accuracy") == "ascending"
        assert self.column(opened, "test accuracy")[0] == "33.00 ± 0.00 %"

    def test_one_slider_moves_all_kernels(self, opened: Chrome) -> None:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        slider = opened.find_element(By.ID, "step")
        shown = opened.find_element(By.ID, "shown-step")
        films = opened.find_elements(By.CSS_SELECTOR, ".film img")
        assert len(films) == 8, "two convolutions of four combinations"
        assert shown.text == f"{LAST} (epoch 2.00)"
        slider.send_keys(Keys.HOME)
        assert shown.text == "0 (epoch 0.00)"
        assert [film.value_of_css_property("top") for film in films] == ["0px"] * 8
        slider.send_keys(Keys.ARROW_RIGHT)
        assert shown.text == f"{STEPS_PER_EPOCH} (epoch 1.00)"
        for film in films:
            height = film.get_attribute("data-height")
            assert film.value_of_css_property("top") == f"-{height}px"

    def test_names_are_text_and_run_nothing(self, browser: Chrome, tmp_path: Path) -> None:
        folder = tmp_path / HOSTILE
        for seed in (0, 1):
            make_run(
                folder, seed=seed, name=f"<img src=x onerror=alert(1)>{seed}", accuracy=0.33,
                class_names=(HOSTILE, "b", "c"), dataset=HOSTILE, data_dir=Path(HOSTILE),
            )  # fmt: skip
        make_run(folder, name="<img src=x onerror=alert(2)>", inspect=False, dataset=HOSTILE,
                 class_names=(HOSTILE, "b", "c"))  # fmt: skip
        page = report.write_report(folder)
        browser.get_log("browser")
        browser.get(page.as_uri())
        assert browser.get_log("browser") == []
        assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
        assert browser.execute_script("return document.scripts.length") == 1
        text = browser.execute_script("return document.body.textContent")
        assert f"learn {HOSTILE} with relu" in text
        assert "script><img src=x onerror=alert(1)>" in browser.title
        assert f"3: {HOSTILE}, b, c" in text
        assert HOSTILE in text.split("--data-dir")[1]
        assert "<img src=x onerror=alert(2)>" in text
