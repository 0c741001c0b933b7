"""docs/own-work.md: each of its examples runs, and does what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from experiments.grid import run_grid
from lenet import cli, explain, export, train, visualize
from lenet.config import TrainConfig
from lenet.recording import events, runs


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """The page as it is stored."""
    return (root / "docs" / "own-work.md").read_text()


def example(page: str, name: str) -> str:
    """The code block after the comment that names it."""
    [block] = re.findall(rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)```", page, re.DOTALL)
    return block


def folder_with_network(page: str, folder: Path) -> Path:
    """The user's folder: the example's network and a picture."""
    (folder / "mynet.py").write_text(example(page, "mynet.py"))
    picture = np.full((40, 40), 255, np.uint8)
    picture[8:32, 18:22] = 0
    Image.fromarray(picture).save(folder / "digit.png")
    return folder


def test_the_example_of_model_fit_writes_what_the_page_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)  # The tests before this one may have asked for determinism.
    exec(compile(example(page, "fit"), "fit", "exec"), {})
    found = events.read_tensors(tmp_path / "summary_logs" / "mine" / "train")
    for tag in ("kernel", "kernel_gradient", "activation", "gradient_norm", "feature_maps"):
        assert found[f"conv1/{tag}"][0].tolist() == [0, 20, 40, 50]
    assert set(events.read_scalars(tmp_path / "summary_logs" / "mine" / "test")) == {
        "loss",
        "accuracy",
    }


def test_the_examples_of_scripts_print_what_they_computed(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example(page, "script"), "script", "exec"), names)
    said = capsys.readouterr().out
    [shown] = [line for line in said.splitlines() if line.startswith("History(")]
    assert re.fullmatch(r"History\('runs/first', done, step=50, test_accuracy=0\.\d{4}\)", shown)
    assert "'conv1': TensorShape([5, 28, 28, 6])" in said
    assert np.asarray(names["fc1"]).shape == (1000, 120)
    folder_with_network(page, tmp_path)
    exec(compile(example(page, "picture"), "picture", "exec"), names)
    assert np.asarray(names["logits"]).shape == (1, 10)


def test_the_example_of_a_figure_has_its_width(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(example(page, "figure"), "figure", "exec"), {})
    content = (tmp_path / "figure.pdf").read_bytes()
    [width] = re.findall(rb"/MediaBox \[ ?0 0 (\d+)", content)
    assert int(width) == 7 * 72


@pytest.mark.slow
def test_the_example_of_a_grid_prints_its_rows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(example(page, "grid"), "grid", "exec"), {"__name__": "__main__"})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [name for name, _ in rows] == ["relu-adam-seed0", "tanh-adam-seed0"]
    assert all(0.1 <= float(accuracy) <= 1 for _, accuracy in rows)


def test_an_unknown_option_of_a_grid_names_the_one_that_was_meant() -> None:
    with pytest.raises(ValueError, match="no option 'activation_list'. Did you mean activations"):
        run_grid(activation_list=["relu"])


def test_a_network_of_ones_own_trains_and_is_drawn_and_explained(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_with_network(page, tmp_path)
    monkeypatch.chdir(folder)
    commands = [shlex.split(line)[3:] for line in example(page, "commands").splitlines()]
    assert train.main([*commands[0], "--max-steps", "9", "--quiet", "--no-figures"]) == 0
    run = folder / "summary_logs" / "mine"
    assert runs.read_config(run)[0].model == "mynet:MyNet"
    assert {"conv1/kernel", "hidden/by_class"} <= set(events.read_tensors(run / "train"))
    with pytest.raises(SystemExit):  # Its names are those of its layers.
        visualize.main([*commands[1], "--only", "fc2_maps"])
    assert "hidden_maps, hidden_sorted, hidden_map[:CLASS], hidden_means" in capsys.readouterr().err
    assert visualize.main([*commands[1], "--only", "kernels"]) == 0
    assert (run / "figures" / "kernels_conv2.png").exists()


@pytest.mark.slow
def test_it_is_drawn_explained_and_exported(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder_with_network(page, tmp_path))
    commands = [shlex.split(line)[3:] for line in example(page, "commands").splitlines()]
    assert train.main([*commands[0], "--epochs", "2"]) == 0
    run = tmp_path / "summary_logs" / "mine"
    assert (run / "figures" / "hidden_maps.png").exists()
    assert visualize.main([*commands[1], "--samples", "60"]) == 0
    assert (run / "figures" / "embedding_hidden_tsne.png").exists()
    assert explain.main(commands[2]) == 0
    assert (run / "figures" / "explain-digit.png").exists()
    assert "digit.png: " in capsys.readouterr().out
    assert export.main([str(run)]) == 0


@pytest.mark.slow
def test_a_grid_compares_it_with_another_network(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.grid.__main__ import main as grid
    from experiments.report.__main__ import main as report

    monkeypatch.chdir(folder_with_network(page, tmp_path))
    commands = [shlex.split(line)[3:] for line in example(page, "commands").splitlines()]
    more = ["--epochs", "1", "--activations", "relu", "--seeds", "0"]
    assert grid([*commands[3], *more]) == 0  # In processes of its own.
    names = {path.name for path in (tmp_path / "summary_logs" / "compared").glob("*seed0")}
    assert names == {"relu-adam-mynet.MyNet-seed0", "relu-adam-lenet-seed0"}
    assert report(commands[4]) == 0
    assert "mynet:MyNet" in (tmp_path / "summary_logs" / "compared" / "report.html").read_text()


def test_the_same_seed_gives_a_network_with_layers_of_keras_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenet.networks.architectures import network_class

    (tmp_path / "plain.py").write_text(NETWORK.format(layers=PLAIN))
    monkeypatch.chdir(tmp_path)
    built = [network_class("plain:Net")((12, 12, 1), 3, seed=seed) for seed in (4, 4, 5)]
    first, again, other = (np.asarray(model.weight_layers["conv"].kernel) for model in built)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    images = np.random.default_rng(0).random((3, 12, 12, 1), np.float32)
    logits, _ = built[0](images)  # A stride of 2 before a pooling layer: the fast way is not taken.
    np.testing.assert_array_equal(logits, built[0].activations(images)["answer"])


PLAIN = """layers.Conv2D(4, 3, strides=2, name="conv"), layers.MaxPool2D(2, name="pool"),
            layers.Flatten(name="flatten"), layers.Dense(5, name="hidden"),
            layers.Dense(self.num_classes, name="answer")"""
NETWORK = """from keras import layers
from lenet import Classifier
class Net(Classifier):
    feature_layer, logits_layer = "hidden", "answer"
    def stack(self):
        return [{layers}]
"""
REFUSED = {
    "a missing file": ("nowhere:Net", "", "No module named 'nowhere'"),
    "a wrong name": ("broken0:Other", NETWORK.format(layers=PLAIN), "subclass of lenet.Classifier"),
    "a mistake in the file": ("broken1:Net", "1/0", "ZeroDivisionError"),
    "no feature layer": (
        "broken2:Net",
        "import lenet\nclass Net(lenet.Classifier): logits_layer = 'answer'",
        "to have the attribute feature_layer",
    ),
    "a normalization": (
        "broken3:Net",
        NETWORK.format(layers=f"layers.BatchNormalization(), {PLAIN}"),
        "layers without a state of their own",
    ),
    "an activation": (
        "broken4:Net",
        NETWORK.format(layers=PLAIN.replace("4, 3", "4, 3, activation='relu'")),
        "no activations of the layers' own",
    ),
    "too few logits": (
        "broken5:Net",
        NETWORK.format(layers=PLAIN.replace("self.num_classes", "7")),
        "10 logits, one for each class",
    ),
    "no Flatten": (
        "broken6:Net",
        NETWORK.format(layers=PLAIN.replace('layers.Flatten(name="flatten"), ', "")),
        "exactly one Flatten layer",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_that_cannot_be_trained_is_one_clear_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, content, expected = REFUSED[case]
    if content:
        (tmp_path / f"{model.partition(':')[0]}.py").write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        train.main(["--model", model, "--dataset", "digits"])
    assert caught.value.code == cli.USER_ERROR
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if line.startswith("Error: ")]) == 1
    assert expected in said[-1]


@pytest.mark.parametrize("model", ["lenett", "my net:Net", "a:b:c", ":Net", "file.py:"])
def test_a_name_that_is_no_network_lists_the_networks(model: str) -> None:
    with pytest.raises(ValueError, match="one of lenet, conv3, conv4, mlp, or your own class"):
        TrainConfig(model=model)
