"""Recorded numbers become sentences by fixed rules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lenet import diagnosis
from lenet.config import TrainConfig
from lenet.diagnosis import Finding, Record, diagnose
from lenet.registry import OPTIMIZERS


@pytest.mark.parametrize(
    ("loss", "classes", "expected"),
    [
        (math.log(10), 10, True),
        (2.4, 10, True),
        (0.98 * math.log(10) + 1e-9, 10, True),
        (2.25, 10, False),
        (math.log(2), 2, True),
        (math.log(2), 10, False),
    ],
)
def test_a_network_no_better_than_guessing_has_not_begun(
    loss: float, classes: int, expected: bool
) -> None:
    assert diagnosis.has_not_begun(loss, classes) is expected


LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")
STEPS = np.arange(1, 1201)
INSPECTED = np.arange(0, 1201, 200)


def record(
    test_loss: tuple[float, ...] = (2.3, 0.1, 0.08),
    test_accuracy: tuple[float, ...] = (0.1, 0.97, 0.98),
    train_accuracy: float = 0.98,
    train_loss: np.ndarray | None = None,
    norms: dict[str, Any] | None = None,
    dead: dict[str, float] | None = None,
    saturated: dict[str, float] | None = None,
    **options: Any,
) -> Record:
    """A network that learns well in two epochs of 600 steps, unless told otherwise."""
    evaluated = np.arange(len(test_loss)) * 600
    losses = np.full(len(STEPS), 0.1) if train_loss is None else train_loss

    def by_layer(values: dict[str, Any] | None, usual: float) -> dict[str, diagnosis.Series]:
        return {
            name: (INSPECTED, np.full(len(INSPECTED), (values or {}).get(name, usual)))
            for name in LAYERS
        }

    defaults: dict[str, Any] = {
        "state": "done", "step": 1200, "activation": "relu", "optimizer": "adam",
        "learning_rate": 0.001, "usual_rate": 0.001, "num_classes": 10, "steps_per_epoch": 600,
        "train_loss": (STEPS, losses),
        "train_accuracy": (STEPS, np.full(len(STEPS), train_accuracy)),
        "test_loss": (evaluated, np.array(test_loss)),
        "test_accuracy": (evaluated, np.array(test_accuracy)),
        "diagnostics": {
            "gradient_norm": by_layer(norms, 1.0),
            "dead_fraction": by_layer(dead, 0.0),
            "saturated_fraction": by_layer(saturated, 0.0),
        },
    }  # fmt: skip
    return Record(**(defaults | options))


STUCK: dict[str, Any] = {
    "test_loss": (2.3026, 2.303, 2.3027),
    "test_accuracy": (0.1, 0.1135, 0.1135),
    "train_accuracy": 0.11,
    "train_loss": np.full(len(STEPS), 2.303),
    "activation": "sigmoid",
    "optimizer": "sgd",
    "learning_rate": 0.01,
}


def only(found: list[Finding], rule: str) -> Finding:
    """The one finding of a list, or that of a rule among several."""
    (finding,) = [finding for finding in found if finding.rule == rule]
    return finding


def test_a_network_that_learns_well_is_healthy() -> None:
    (finding,) = diagnose(record())
    assert (finding.rule, finding.wrong, finding.advice) == ("healthy", False, "")
    for words in ("98 % after 2 epochs", "conv1 is about as large as that at fc3"):
        assert words in finding.sentence


def test_a_network_that_has_not_begun_and_vanishing_gradients_are_found_with_their_numbers() -> (
    None
):
    found = diagnose(record(norms={"conv1": 0.01, "fc3": 0.9}, **STUCK))
    assert [finding.rule for finding in found] == ["not begun", "vanishing"]
    begun, vanishing = found
    assert begun.sentence == (
        "The network has not begun to learn: its test loss of 2.3027 is no better than the loss of "
        "guessing (ln 10 = 2.3026), and its test accuracy is 11.3 %."
    )
    assert begun.plot == "curves"
    assert begun.changes == {"optimizer": "adam"}
    assert vanishing.sentence == (
        "Vanishing gradients: during the first 600 steps, the gradient norm at conv1 is 1/90 of "
        "that at fc3."
    )
    assert vanishing.plot == "gradients" and vanishing.changes == {"activation": "relu"}


def test_gradients_that_vanish_early_are_a_note_where_the_network_learns() -> None:
    finding = only(diagnose(record(norms={"conv1": 0.01})), "vanishing")
    assert not finding.wrong and "The network learns anyway" in finding.sentence


def test_only_the_first_steps_count_as_early() -> None:
    late = np.where(INSPECTED > 600, 1e-9, 1.0)
    assert [f.rule for f in diagnose(record(norms={"conv1": late}))] == ["healthy"]


def test_a_gradient_of_zero_is_no_division_by_zero() -> None:
    finding = only(diagnose(record(norms={"conv1": 0.0}, **STUCK)), "vanishing")
    assert "during the first 600 steps, the gradient norm at conv1 is zero" in finding.sentence
    assert diagnose(record(norms=dict.fromkeys(LAYERS, 0.0)))[0].rule == "healthy"


@pytest.mark.parametrize(
    ("norm", "words"), [(250.0, "reaches 250"), (np.nan, "no longer a finite number")]
)
def test_exploding_gradients(norm: float, words: str) -> None:
    finding = only(diagnose(record(norms={"fc1": norm})), "exploding")
    assert words in finding.sentence and "fc1" in finding.sentence
    assert finding.changes == {"learning_rate": pytest.approx(0.0001)}


@pytest.mark.parametrize(
    ("share", "rules", "wrong"),
    [(0.09, ["healthy"], False), (0.2, ["dead"], False), (0.31, ["dead"], True)],
)
def test_dead_units(share: float, rules: list[str], wrong: bool) -> None:
    found = [f for f in diagnose(record(dead={"fc1": share})) if f.rule in rules]
    assert [f.rule for f in found] == rules
    assert found[0].wrong is wrong
    if wrong:
        assert found[0].sentence.startswith("31 % of the units of fc1 are dead")
        assert found[0].changes == {"activation": "leaky_relu"} and found[0].plot == "activity"


def test_the_output_layer_is_never_dead_or_saturated() -> None:
    healthy = record(dead={"fc3": 1.0}, saturated={"fc3": 1.0}, activation="tanh")
    assert [f.rule for f in diagnose(healthy)] == ["healthy"]


def test_only_sigmoid_and_tanh_saturate() -> None:
    finding = only(diagnose(record(saturated={"conv2": 0.8}, activation="tanh")), "saturated")
    assert "80 % of the outputs of conv2" in finding.sentence
    assert [f.rule for f in diagnose(record(saturated={"conv2": 0.8}))] == ["healthy"]


def test_overfitting_by_accuracy_and_by_loss() -> None:
    finding = only(
        diagnose(record(train_accuracy=1.0, test_accuracy=(0.1, 0.79, 0.8))), "overfitting"
    )
    assert finding.sentence == (
        "Overfitting: the accuracy is 100 % on the training batches and 80 % on the test images."
    )
    rising = record(train_accuracy=1.0, test_loss=(2.3, 0.1, 0.2))
    finding = only(diagnose(rising), "overfitting")
    assert "rose from 0.100 (after 1 epoch) to 0.200" in finding.sentence
    assert finding.changes == {"epochs": 1}


def test_the_cures_of_overfitting_come_in_order() -> None:
    gap: dict[str, Any] = {"train_accuracy": 1.0, "test_accuracy": (0.1, 0.79, 0.8)}
    changes = [
        only(diagnose(record(**gap, **has)), "overfitting").changes
        for has in (
            {},
            {"dropout": 0.5},
            {"dropout": 0.5, "augmented": True},
            {"dropout": 0.5, "augmented": True, "optimizer": "adamw"},
        )
    ]
    assert list(map(list, changes)) == [["fc_dropout"], ["augment"], ["optimizer"], ["epochs"]]


def test_a_loss_that_is_not_a_number_has_diverged() -> None:
    losses = np.where(STEPS < 1000, 2.0, np.nan)
    found = diagnose(record(state="diverged", step=1000, learning_rate=10.0, train_loss=losses))
    assert found[0].rule == "diverged" and found[0].wrong
    assert "at step 1,000" in found[0].sentence and found[0].changes == {"learning_rate": 0.001}
    assert "not begun" not in [f.rule for f in found]
    early = record(state="diverged", step=2, test_loss=(), test_accuracy=(), train_loss=losses)
    assert diagnose(early)[0].rule == "diverged"


def test_a_network_thrown_off_is_not_one_that_has_not_begun() -> None:
    found = diagnose(record(**STUCK | {"test_loss": (2.3, 9.0, 8.0)}))
    assert found[0].rule == "thrown off" and found[0].changes == {"learning_rate": 0.001}


def test_slow_learning_differs_from_no_learning() -> None:
    falling = np.linspace(2.3, 0.5, len(STEPS))
    weak: dict[str, Any] = {"train_accuracy": 0.85, "test_accuracy": (0.1, 0.8, 0.85)}
    slow = only(diagnose(record(train_loss=falling, optimizer="sgd", **weak)), "slow")
    assert "85 % after 2 epochs" in slow.sentence and slow.changes == {"optimizer": "momentum"}
    larger = only(diagnose(record(train_loss=falling, **weak)), "slow")
    assert larger.changes == {"learning_rate": 0.01}
    still = np.full(len(STEPS), 0.5)
    assert only(diagnose(record(train_loss=still, **weak)), "stalled").wrong
    late = np.where(0.9 * STEPS[-1] >= STEPS, 2.3, 1.5)
    assert [f.rule for f in diagnose(record(train_loss=late, **weak))] == ["slow"]
    good_enough = record(train_loss=still, train_accuracy=0.93)
    assert [f.rule for f in diagnose(good_enough)] == ["healthy"]


@pytest.mark.parametrize("rule", ["not begun", "stalled"])
@pytest.mark.parametrize("rate", [1e-9, 0.001, 0.1])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "elu"])
def test_what_is_advised_is_never_what_the_run_had(
    rule: str, rate: float, optimizer: str, activation: str
) -> None:
    own = {"activation": activation, "optimizer": optimizer, "learning_rate": rate}
    weak = {"train_accuracy": 0.8, "train_loss": np.full(len(STEPS), 0.5)}
    changes = only(diagnose(record(**(STUCK if rule == "not begun" else weak) | own)), rule).changes
    assert changes and all(own[name] != value for name, value in changes.items())


@pytest.mark.parametrize(
    ("rate", "advised"),
    [(1e-9, 1e-3), (1.1e-5, 1e-3), (5e-4, 5e-3), (0.001, 1e-4), (0.01, 0.001), (1e4, 1e-3)],
)
def test_advice_about_the_rate_leads_to_the_usual_one(rate: float, advised: float) -> None:
    stuck = STUCK | {"activation": "relu", "optimizer": "adam", "learning_rate": rate}
    finding = only(diagnose(record(**stuck)), "not begun")
    assert finding.changes == {"learning_rate": pytest.approx(advised)}


def test_the_last_steps_alone_are_too_few_to_be_slow_or_stalled() -> None:
    end = STEPS[-100:]
    resumed = record(train_accuracy=0.8, test_accuracy=(0.1, 0.7, 0.8))
    series = {"train_loss": (end, np.full(100, 0.5)), "train_accuracy": (end, np.full(100, 0.8))}
    assert [f.rule for f in diagnose(Record(**{**resumed.__dict__, **series}))] == ["healthy"]


def test_every_rule_says_what_it_asks() -> None:
    for rule in diagnosis.RULES.values():
        assert rule.verdict and rule.question
        assert rule.question[0].islower() and not rule.question.endswith(".")


def test_failed_and_unmeasured_runs_say_so() -> None:
    (failed,) = diagnose(record(state="failed", step=7, error="disk full"))
    assert failed.rule == "failed" and "after 7 steps: disk full" in failed.sentence
    (nothing,) = diagnose(record(test_loss=(2.3,), test_accuracy=(0.1,)))
    assert nothing.rule == "unmeasured" and not nothing.wrong


def test_a_run_without_inspections_or_train_points_is_diagnosed_by_its_tests() -> None:
    empty = (np.zeros(0, int), np.zeros(0))
    bare = record(
        diagnostics={},
        train_accuracy=0.0,
    )  # fmt: skip
    (finding,) = diagnose(Record(**{**bare.__dict__, "train_accuracy": empty, "train_loss": empty}))
    assert finding.rule == "healthy" and "training batches" not in finding.sentence


@pytest.mark.parametrize(
    "options",
    [
        STUCK,
        {"norms": {"fc1": 250.0}},
        {"dead": {"fc1": 0.5}},
        {"dead": {"fc1": 0.5}, "activation": "elu"},
        {"saturated": {"fc1": 0.9}, "activation": "sigmoid"},
        {"train_accuracy": 1.0, "test_accuracy": (0.1, 0.8, 0.8)},
        {"state": "diverged"},
        STUCK | {"optimizer": "adam", "learning_rate": 0.001},
        STUCK | {"optimizer": "adam", "learning_rate": 0.001, "activation": "relu"},
    ],
)
def test_advice_consists_of_valid_options(options: dict[str, Any]) -> None:
    wrong = [finding for finding in diagnose(record(**options)) if finding.wrong]
    assert wrong
    for finding in wrong:
        assert finding.advice and finding.changes
        TrainConfig(**finding.changes)
        assert finding.verdict == diagnosis.RULES[finding.rule].verdict
