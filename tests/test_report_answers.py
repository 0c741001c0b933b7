"""What a report answers: which choice is best, why a combination fails, what is noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.report.advice import more_seeds_command
from experiments.report.answers import about_overfitting, answers
from experiments.report.choices import Choice, choices
from experiments.report.contrasts import contrasts
from experiments.report.data import Comparison
from experiments.report.intervals import about_noise
from experiments.report.layer_numbers import extremes, layer_tables
from experiments.report.leader_board import board_caption, board_rows
from experiments.report.page import write_report
from experiments.report.reading import read_comparison
from lenet.recording import runs
from tests.test_report import make_run, plain

ACCURACIES = {
    ("relu", "sgd"): 0.96,
    ("relu", "adam"): 0.985,
    ("sigmoid", "sgd"): 0.33,
    ("sigmoid", "adam"): 0.984,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two activations, two optimizers and three seeds; sigmoid with sgd guesses."""
    folder = tmp_path_factory.mktemp("logdir") / "study"
    for (activation, optimizer), accuracy in ACCURACIES.items():
        for seed in range(3):
            nearby = accuracy + 0.001 * (seed - 1) * (accuracy > 0.5)
            make_run(folder, activation, optimizer, seed, nearby)
    command = "python -m experiments.grid --seeds 0 1 2 --epochs 2 --name study"
    (folder / "grid.json").write_text(json.dumps({"command": command, "combinations": []}))
    return folder


@pytest.fixture(scope="module")
def study(folder: Path) -> Comparison:
    return read_comparison(folder)


def test_each_choice_has_an_answer_in_words(study: Comparison) -> None:
    assert [choice.sentence for choice in choices(study, "activation")] == [
        "With sgd, the activation matters: relu is clearly better than sigmoid.",
        "With adam, there is no clear difference: relu has the highest mean test accuracy, and "
        "sigmoid is not clearly worse.",
    ]
    found = dict(answers(study))
    assert found["Activation"] == ("With every optimizer, relu has the highest mean test accuracy.")
    assert found["Optimizer"] == (
        "With every activation, adam has the highest mean test accuracy, and sgd is clearly worse."
    )
    assert found["In trouble"] == "sigmoid · sgd – has not begun to learn (vanishing gradients)."


def test_equal_results_and_results_that_cannot_be_compared_are_not_ranked(tmp_path: Path) -> None:
    make_run(tmp_path, "relu", "sgd", accuracy=1 / 3)
    make_run(tmp_path, "tanh", "sgd", accuracy=1 / 3)
    make_run(tmp_path, "relu", "adam", seed=1, accuracy=0.9)
    study = read_comparison(tmp_path)
    (sgd,) = choices(study, "activation")
    assert sgd.sentence == (
        "With sgd, there is no difference: relu and tanh have the same test accuracy."
    )
    (relu,) = choices(study, "variant")
    assert relu.sentence == (
        "With relu, adam has the highest test accuracy. sgd cannot be compared with adam, because "
        "no seed has finished with both."
    )
    found = dict(answers(study))
    assert found["Not compared"].startswith("relu · sgd and tanh · sgd. No seed")
    assert "Not clearly worse" not in found


def test_several_equal_results_can_be_clearly_better() -> None:
    choice = Choice("optimizer", "relu", ["adam", "adamw"], worse=["sgd"])
    assert choice.sentence == (
        "With relu, the optimizer matters: adam and adamw are clearly better than sgd."
    )


def test_a_choice_is_named_by_what_varies(tmp_path: Path) -> None:
    for rate in (0.1, 0.01):
        for activation in ("relu", "tanh"):
            for optimizer in ("sgd", "momentum"):
                name = f"{activation}-{optimizer}-{rate}"
                make_run(tmp_path / "two", activation, optimizer, name=name, learning_rate=rate)
            make_run(tmp_path / "one", activation, name=f"{activation}-{rate}", learning_rate=rate)
    one, two = (dict(answers(read_comparison(tmp_path / name))) for name in ("one", "two"))
    assert one["Activation"] == "There is no clear difference, whichever learning rate is used."
    assert one["Learning rate"] == "There is no clear difference, whichever activation is used."
    assert two["Activation"] == (
        "There is no clear difference, whichever choice of optimizer and learning rate is used."
    )


def test_a_study_in_which_nothing_learns_has_no_winner(tmp_path: Path) -> None:
    make_run(tmp_path, "relu", accuracy=0.33)
    make_run(tmp_path, "tanh", accuracy=0.32)
    found = dict(answers(read_comparison(tmp_path)))
    assert found.keys() == {"Outcome", "In trouble"}
    assert found["Outcome"].startswith("No network has learned to classify the images. The best of")


def test_only_a_combination_that_learns_shows_why_another_fails(tmp_path: Path) -> None:
    make_run(tmp_path, "sigmoid", accuracy=0.33)
    make_run(tmp_path, "relu", accuracy=0.4)
    study = read_comparison(tmp_path)
    best, failing = (c for _, c in study.ranked)
    difference = study.difference(best, failing)
    assert difference is not None and difference.clear
    assert contrasts(study, failing, failing.runs[0]) == []


def test_a_failure_is_compared_with_the_best_that_differs_in_one_choice(study: Comparison) -> None:
    failing = next(c for c in study.combinations if c.label == "sigmoid · sgd")
    found = contrasts(study, failing, failing.runs[1])
    assert [(each.other.label, each.plot) for each in found] == [
        ("sigmoid · adam", "gradients"), ("relu · sgd", "gradients")
    ]  # fmt: skip
    assert found[1].sentence.startswith(
        "With relu instead of sigmoid, the gradient norm at conv1 was 1.0 times that at fc3 "
        "over the first 320 steps, and the test accuracy was 96.00 ± 0.10 %. Here, the gradient norm "
        "was 1/10,000 of that at fc3."
    )
    best = study.ranked[0][1]
    assert contrasts(study, best, best.runs[0]) == [], "nothing is better than the best"


def test_the_kernel_that_moved_least_is_compared(tmp_path: Path) -> None:
    for optimizer, accuracy, scale in (("sgd", 0.9, 0.001), ("adam", 0.99, 1.0)):
        for seed in range(2):
            run = make_run(tmp_path, "relu", optimizer, seed, accuracy + 0.0001 * seed)
            for path in (run / runs.INSPECTIONS).iterdir():
                arrays = dict(np.load(path))
                arrays["fc1/distance_moved"] = arrays["fc1/distance_moved"] * scale
                arrays["conv1/distance_moved"] = arrays["conv1/distance_moved"] * (
                    2 if scale == 1 else 0.004
                )
                np.savez(path, **arrays)
    study = read_comparison(tmp_path)
    slow = study.combinations[0]
    (found,) = contrasts(study, slow, slow.runs[0])
    assert found.plot == "distance_moved"
    assert "the kernel of fc1 moved by 640 % of its size at the start" in found.sentence
    assert found.sentence.endswith("Here, the kernel moved by 0.64 %.")
    text = plain(write_report(tmp_path).read_text())
    assert (
        "conv1 of relu · adam moved most, by 1,300 % of its size. conv1 of relu · sgd moved least, by "
        "2.6 %. Kernels that hardly moved still look like the random start."
    ) in text


def test_noise_names_the_limits_of_seeds_and_images(study: Comparison) -> None:
    first, needed, limit = about_noise(study)
    assert first.startswith("Noise is the part of a result that depends on chance")
    best, second = (c for _, c in study.ranked[:2])
    difference = study.difference(best, second)
    assert difference is not None and 0 < difference.from_images < difference.half_width
    assert "with 3 seeds and 6,000 test images" in needed
    assert f"larger than {100 * difference.half_width:.2f} percentage points" in needed
    assert f"not below {100 * difference.from_images:.2f} percentage points" in limit


def test_more_seeds_are_a_command_for_the_place_where_the_runs_are(study: Comparison) -> None:
    where = f"--name study --logdir {study.folder.parent}"
    typed = f"python -m experiments.grid --seeds 0 1 2 --epochs 2 {where}"
    expected = f"python -m experiments.grid --seeds 0 1 2 3 4 5 --epochs 2 {where}"
    assert more_seeds_command(replace(study, grid={"command": typed})) == expected, "as typed"
    moved = replace(study, grid={"command": typed.replace("study", "other").replace("/tmp", "/x")})
    assert more_seeds_command(moved) == expected, "the folder has moved since then"
    assert more_seeds_command(study) == expected, "the command was typed in another folder"


def test_no_overfitting_is_said_with_the_largest_gap(study: Comparison) -> None:
    assert "is never above the test accuracy" in about_overfitting(study)


@pytest.mark.parametrize(
    ("train", "test_images", "why"),
    [
        (0.9, 6_000, "because this network does not fit its training images."),
        (0.955, 8, "With 8 test images, chance alone can cause this gap."),
    ],
)
def test_a_large_gap_that_is_not_overfitting_says_why(
    tmp_path: Path, train: float, test_images: int, why: str
) -> None:
    run = make_run(tmp_path, accuracy=0.82)
    rows = (run / runs.METRICS).read_text().splitlines()
    rows = [f"{row.rpartition(',')[0]},{train}" if ",train," in row else row for row in rows]
    (run / runs.METRICS).write_text("\n".join(rows) + "\n")
    config, described = runs.read_config(run)
    runs.write_config(run, config, {**described, "test": test_images}, {})
    assert about_overfitting(read_comparison(tmp_path)).endswith(why)


def test_a_highest_value_that_others_share_is_not_the_only_one(tmp_path: Path) -> None:
    for activation in ("relu", "tanh"):
        run = make_run(tmp_path, activation)
        for path in (run / runs.INSPECTIONS).iterdir():
            arrays = dict(np.load(path))
            arrays["fc1/dead_fraction"] = np.full_like(arrays["fc1/dead_fraction"], 1.0)
            np.savez(path, **arrays)
    text = extremes(read_comparison(tmp_path).combinations, "dead_fraction")
    assert text.endswith("(fc1, tanh · adam), and the same in 1 other place.")


def test_an_unusual_time_is_marked_and_explained(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path, "relu", seed=seed)
    slow = make_run(tmp_path, "tanh")
    assert "*" not in board_caption(read_comparison(tmp_path))
    status = runs.read_status(slow)
    runs.write_status(slow, {**status, "seconds": 30.0})
    study = read_comparison(tmp_path)
    cells = {
        row.combination.label: [cell.text for column, cell in row.cells if "seconds" in column.name]
        for row in board_rows(study)
    }
    assert cells == {"relu · adam": ["1.5"], "tanh · adam": ["15.0 *"]}
    assert "* tanh · adam (seed 0) took more than 3 times as long" in board_caption(study)


def test_layers_are_compared_in_numbers(study: Comparison, folder: Path) -> None:
    tables = {table.heading: table for table in layer_tables(study)}
    moved = tables["distance moved, in %"]
    assert moved.layers == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert [cells[0] for _, cells in moved.rows] == ["640"] * 4
    assert "it is 640 % (" not in moved.caption and "it is 640 % everywhere" in moved.caption
    slopes = tables["slope of the activation"]
    assert slopes.layers == ["conv1", "conv2", "fc1", "fc2"], "the output layer is linear"
    assert "lowest value is 0.25 (conv1, sigmoid · sgd), and the highest 0.70" in slopes.caption
    dead = tables["dead units, in %"]
    assert dead.rows == () and "0 % everywhere" in dead.caption
    text = plain(write_report(folder).read_text())
    assert "lowest value is 0.25 (conv1, sigmoid · sgd)" in text, "a table has one seed"
    assert "lowest value is 0.25 (conv1, sigmoid · sgd, seed 0)" in text, "a drawing has all seeds"
