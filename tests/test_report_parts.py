"""Parts of a report: units by class, similar classes, confusion, networks and intervals."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.grid import options
from experiments.report.advice import more_seeds_command, tune_all_command
from experiments.report.classes import unit_map
from experiments.report.data import Comparison
from experiments.report.intervals import WIDTH, about_noise, interval_groups
from experiments.report.mistakes import confusion_of
from experiments.report.network import network_boxes
from experiments.report.page import write_report
from experiments.report.reading import read_comparison
from lenet.analysis.classes import class_means, similarities, unit_order
from lenet.data.datasets import Split
from lenet.networks import architectures
from lenet.recording import predictions, runs
from tests.test_report import LAST, make_run

NAMES = ("ant", "bee", "cat")


def answers(wrong: dict[int, int]) -> tuple[np.ndarray, Split]:
    """Logits of 30 test images, ten of each class. Only `wrong`, image → prediction, is wrong."""
    labels = np.repeat(np.arange(3, dtype=np.int32), 10)
    images = np.arange(30, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    logits = 5 * np.eye(3, dtype=np.float32)[labels]
    for position, (image, prediction) in enumerate(wrong.items()):
        logits[image] = (6 + position) * np.eye(3, dtype=np.float32)[prediction]
    return logits, Split(images, labels)


@pytest.fixture
def compared(tmp_path: Path) -> Comparison:
    """Two combinations. The first one has recorded three wrong predictions."""
    run = make_run(tmp_path / "grid", class_names=NAMES, accuracy=0.9)
    make_run(tmp_path / "grid", "sigmoid", class_names=NAMES, accuracy=0.33)
    predictions.save(run, predictions.predictions_of(LAST, *answers({3: 1, 4: 1, 25: 0})))
    return read_comparison(tmp_path / "grid")


def test_units_are_sorted_by_the_class_they_speak_for() -> None:
    means = np.array([[0.0, 5, 1, 1], [2, 0, 1, 0], [0, 0, 1, 9]])
    order, speaks_for = unit_order(means)
    assert speaks_for.tolist() == [1, 0, -1, 2]
    assert order.tolist() == [1, 0, 3, 2], "the unit without a class comes last"


def test_a_map_shows_the_units_in_that_order_with_their_numbers() -> None:
    labels = np.repeat([0, 1, 2], 4)
    features = np.zeros((12, 4))
    features[labels == 0, 1] = features[labels == 1, 0] = features[labels == 2, 3] = 1
    drawn = unit_map(features, labels, NAMES, (0, 1), "relu · adam")
    assert [box.text for box in drawn.units] == ["1", "0", "3", "2"]
    assert [box.text for box in drawn.groups] == [*NAMES, "none"]
    assert drawn.alt.endswith("1 for ant, 1 for bee, 1 for cat.")


def test_similar_classes_are_found_with_the_units_that_say_so() -> None:
    """Unit 0 is for ant and bee, unit 1 only for ant, unit 2 for bee, units 3 to 5 for cat."""
    features = np.array(
        [[4.0, 2, 0, 0, 0, 0], [4, 0, 2, 0, 0, 0], [0, 0, 0, 4, 4, 4]]
    ).repeat(5, 0)  # fmt: skip
    labels = np.repeat([0, 1, 2], 5)
    alike = similarities(class_means(features, labels)[0], NAMES)
    assert alike is not None
    assert alike.closest.classes == ("ant", "bee")
    assert alike.closest.shared == "0"
    assert alike.closest.different == "unit 1 is higher for ant; unit 2 is higher for bee"
    np.testing.assert_allclose(np.diag(alike.table), 1)
    listed = {pair.classes for pair in [*alike.closest_to_each, *alike.others]}
    assert len(listed) == len(alike.closest_to_each) + len(alike.others) == 3, "each pair once"
    pale = similarities(class_means(features, labels)[0], NAMES, (0, 30))
    assert pale is not None and pale.closest.different == "none", "they would be nearly black"
    same = np.ones((15, 6))
    assert similarities(class_means(same, labels)[0], NAMES) is None


def test_confusion_counts_every_test_image(compared: Comparison) -> None:
    confusion = confusion_of(compared.combinations[0])
    assert confusion is not None
    assert confusion.counts == [[8, 2, 0], [0, 10, 0], [1, 0, 9]]
    assert confusion.sentence == (
        "The network classifies 3 of 30 test images wrongly. "
        "Most often, ant is classified as bee (2 images). The class with the largest share of wrong "
        "predictions is ant: 2 of 10 images, 20 %."
    )
    shown = [(mistake.label, mistake.predicted) for mistake in confusion.mistakes]
    assert shown == [("cat", "ant"), ("ant", "bee"), ("ant", "bee")], "the most confident first"
    assert confusion_of(compared.combinations[1]) is None, "nothing was recorded"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            dict.fromkeys(range(10, 30), 0),
            'The network gives the same answer, "ant", for every test image, so 20 of 30 test images '
            "are classified wrongly.",
        ),
        (
            {**dict.fromkeys(range(10, 20), 0), 20: 0},
            "The network classifies 11 of 30 test images wrongly. Most often, bee is classified as "
            "ant (10 images). The class bee is never predicted.",
        ),
        (
            {0: 1, 10: 2},
            "The network classifies 2 of 30 test images wrongly. Each mistake occurs only once. The "
            "largest share of wrong predictions is that of ant and bee, 10 % each.",
        ),
    ],
)
def test_classes_with_the_same_result_are_not_singled_out(
    compared: Comparison, wrong: dict[int, int], says: str
) -> None:
    run = compared.combinations[0].runs[0].folder
    predictions.save(run, predictions.predictions_of(LAST, *answers(wrong)))
    confusion = confusion_of(read_comparison(compared.folder).combinations[0])
    assert confusion is not None and confusion.sentence == says


@pytest.mark.parametrize("rates", [["--learning-rates", "1", "0.1"], ["--learning-rate=1e-3"]])
def test_the_command_that_tunes_all_has_no_rates_of_its_own(
    compared: Comparison, rates: list[str]
) -> None:
    typed = f"python -m experiments.grid --name {compared.folder.name} --activations relu sigmoid"
    for seeds in ("--seeds 0", "--seed 0"):
        command = f"{typed} {shlex.join(rates)} {seeds} --logdir {compared.folder.parent}"
        study = replace(compared, grid={"command": command})
        words = shlex.split(tune_all_command(study))
        chosen = options.parse(words[3:], "grid", "")
        assert chosen.tune and chosen.name == "grid-tuned" and rates[0] not in words
        more = shlex.split(more_seeds_command(study))
        assert options.parse(more[3:], "grid", "").lists["seed"] == (0, 1, 2, 3)


def test_an_interval_is_not_wider_than_accuracies_can_differ(tmp_path: Path) -> None:
    """The accuracies of one combination differ so much that two seeds show nothing."""
    for seed, accuracies in enumerate([(0.98, 0.95), (0.97, 0.3)]):
        for activation, accuracy in zip(("relu", "tanh"), accuracies, strict=True):
            make_run(tmp_path, activation, seed=seed, accuracy=accuracy)
    study = read_comparison(tmp_path)
    (interval,) = interval_groups(study)[0].intervals
    assert interval.text == "+35.00 (−100.00 to +100.00)"
    assert about_noise(study)[1].endswith(
        "no difference between relu · adam and tanh · adam can be clear."
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"predicted": np.full(30, 3, np.uint16)}, "numbers that are out of range"),
        ({"labels": np.zeros(29, np.uint16)}, "different lengths"),
        ({"mistakes": np.zeros(1, np.int32)}, "one image for each mistake"),
        ({"step": np.zeros(2)}, "not those of predictions"),
        (None, "not a complete .npz file"),
    ],
)
def test_damaged_predictions_are_named_and_the_page_is_written(
    tmp_path: Path, change: dict[str, np.ndarray] | None, reason: str
) -> None:
    run = make_run(tmp_path / "grid", class_names=NAMES)
    path = run / runs.PREDICTIONS
    if change is None:
        path.write_bytes(b"PK nothing")
    else:
        good = vars(predictions.predictions_of(LAST, *answers({})))
        np.savez(path, **{**good, **change})
    text = write_report(tmp_path / "grid").read_text()
    assert str(path) in text and reason in text
    assert "Which classes the network confuses" not in text


def test_the_network_box_has_the_layers_of_the_network(tmp_path: Path) -> None:
    run = make_run(tmp_path / "grid", inspect=False)
    config, described = runs.read_config(run)
    model = architectures.build_model(config, (28, 28, 1), 10)
    runs.write_config(run, config, described, {}, model.description((28, 28, 1)))
    (box,) = network_boxes(read_comparison(tmp_path / "grid"))
    assert [row.name for row in box.rows] == [
        "conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3"
    ]  # fmt: skip
    assert box.largest == "fc1 has the most parameters, 78 % of all."
    saved = runs.read_network(run)
    steepest = {each["name"]: each["greatest_slope"] for each in saved if "greatest_slope" in each}
    assert steepest == dict.fromkeys(["conv1", "conv2", "fc1", "fc2"], 1.0), "that of relu"
    total = sum(int(row.parameters.replace(",", "") or 0) for row in box.rows)
    assert f"{total:,}" == box.parameters
    model(np.zeros((1, 28, 28, 1), np.uint8))
    assert total == model.num_parameters


@pytest.mark.parametrize("init", ["truncated_normal", "source"])
def test_the_network_box_gives_the_true_spread_of_truncated_weights(
    tmp_path: Path, init: str
) -> None:
    config, _ = runs.read_config(make_run(tmp_path / "grid", init=init))
    model = architectures.build_model(config, (28, 28, 1), 10)
    model(np.zeros((1, 28, 28, 1), np.uint8))
    spread = float(np.std(model.weight_layers["fc1"].kernel))
    (box,) = network_boxes(read_comparison(tmp_path / "grid"))
    assert f"their standard deviation is {spread:.2g}" in box.initialization


def test_probe_images_are_the_same_only_with_the_same_validation_images(tmp_path: Path) -> None:
    make_run(tmp_path / "grid")
    make_run(tmp_path / "grid", "tanh")
    same = "of all runs are measured on the same 30 training images"
    assert same in write_report(tmp_path / "grid").read_text()
    make_run(tmp_path / "grid", "sigmoid", validation_fraction=0.1)
    text = write_report(tmp_path / "grid").read_text()
    assert same not in text and "in runs with the same share of validation images" in text


@pytest.mark.parametrize("change", [{"parameters": "156"}, {"output": [28, None, 6]}, {"kind": 5}])
def test_a_damaged_description_of_the_network_is_left_out_and_said(
    tmp_path: Path, change: dict[str, object]
) -> None:
    run = make_run(tmp_path / "grid", inspect=False)
    config, described = runs.read_config(run)
    layer = {"name": "conv1", "kind": "convolution 5×5, same", "output": [28, 28, 6], "units": 6}
    runs.write_config(run, config, described, {}, [{**layer, "parameters": 156}])
    assert len(network_boxes(read_comparison(tmp_path / "grid"))) == 1
    runs.write_config(run, config, described, {}, [{**layer, "parameters": 156, **change}])
    comparison = read_comparison(tmp_path / "grid")
    assert network_boxes(comparison) == []
    (problem,) = comparison.runs[0].problems
    assert "config.json is damaged: Expected network to be a list of layers" in problem


def test_a_limit_of_zero_is_not_a_limit(tmp_path: Path) -> None:
    """One network is wrong about one image with seed 0, the other with seed 1: chance, on average 0."""
    for activation in ("relu", "tanh"):
        for seed in range(2):
            run = make_run(tmp_path, activation, seed=seed, accuracy=0.9, class_names=NAMES)
            config, described = runs.read_config(run)
            runs.write_config(run, config, {**described, "test": 30}, {})
            wrong = {3: 1} if (activation == "relu") == (seed == 0) else {}
            predictions.save(run, predictions.predictions_of(LAST, *answers(wrong)))
    assert about_noise(read_comparison(tmp_path))[-1] == "More seeds reduce this limit."


def test_intervals_are_drawn_where_their_numbers_are(tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    for seed in (0, 1, 2):
        make_run(folder, "relu", seed=seed, accuracy=0.98)
        make_run(folder, "tanh", seed=seed, accuracy=0.979)
        make_run(folder, "sigmoid", seed=seed, accuracy=0.33)
    first = interval_groups(read_comparison(folder))[0]
    assert first.question == "Is relu · adam better than the others?"
    tanh, sigmoid = first.intervals
    assert tanh.name == "relu · adam − tanh · adam" and tanh.text.startswith("+0.10 (")
    assert not tanh.clear and tanh.verdict == "not clear"
    middle = WIDTH / 2 * (1 + 0.1 / first.reach)
    assert tanh.middle == pytest.approx(middle, abs=0.1)
    assert tanh.low < WIDTH / 2 < tanh.high, "the interval contains 0"
    assert sigmoid.clear and sigmoid.verdict == "relu · adam is better"
    assert sigmoid.beyond == 1 and sigmoid.low == WIDTH
