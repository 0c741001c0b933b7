"""Recorded numbers become sentences by fixed rules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lenet import diagnosis
from lenet.config import TrainConfig
from lenet.diagnosis import Finding, Record, diagnose, options_of
from lenet.diagnosis.advice import early_stopping
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
    dead: dict[str, Any] | None = None,
    saturated: dict[str, float] | None = None,
    slopes: dict[str, float] | None = None,
    moved: dict[str, float] | None = None,
    updates: dict[str, float] | None = None,
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
        "kernel_sizes": dict.fromkeys(LAYERS, 2.0), "units": dict.fromkeys(LAYERS, 100),
        "test_images": 10_000,
        "diagnostics": {
            "gradient_norm": by_layer(norms, 1.0),
            "dead_fraction": by_layer(dead, 0.0),
            "saturated_fraction": by_layer(saturated, 0.0),
            "slope": by_layer(slopes, 0.7),
            "distance_moved": by_layer(moved, 0.5),
            "update_ratio": by_layer(updates, 0.001),
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
    "usual_rate": 0.01,
    "reach": 1.0,
}


def only(found: list[Finding], rule: str) -> Finding:
    """The one finding of a list, or that of a rule among several."""
    (finding,) = [finding for finding in found if finding.rule == rule]
    return finding


def test_a_network_that_learns_well_is_healthy() -> None:
    (finding,) = diagnose(record())
    assert (finding.rule, finding.wrong, finding.advice) == ("healthy", False, ())
    for words in ("98.00 % after 2 epochs", "conv1 is 1.0 times that at fc3"):
        assert words in finding.sentence


VANISHING = {
    "norms": {"conv1": 0.001, "fc3": 0.1},
    "slopes": dict.fromkeys(LAYERS[:-1], 0.25),
    "moved": {"conv1": 0.004},
    "updates": {"conv1": 0.000005},
}


def told(finding: Finding) -> str:
    """The explanation of a finding as one text."""
    return " ".join(step.sentence for step in finding.evidence)


def test_why_a_network_has_not_begun_is_a_chain_of_numbers_from_the_slope_to_the_kernel() -> None:
    greatest = dict.fromkeys(LAYERS[:-1], 0.25)
    (finding,) = diagnose(record(only_answer="1", greatest_slopes=greatest, **VANISHING, **STUCK))
    assert (finding.rule, finding.plot) == ("not begun", "curves")
    assert finding.verdict == "has not begun to learn (vanishing gradients)"
    assert finding.sentence == (
        "The network has not begun to learn: after 2 epochs, its test loss is 2.30 (guessing: "
        'ln 10 = 2.30) and its test accuracy is 11.35 %. It gives the same answer, "1", for '
        "every test image."
    )
    assert [(step.plot, step.sentence) for step in finding.evidence] == [
        (
            "gradients",
            "Over the first 600 steps, the gradient norm is 0.0010 at conv1 and 0.10 at fc3 "
            "(geometric means): the norm at conv1 is only 1/100 of that at fc3.",
        ),
        (
            "slope",
            "On its way back from fc3 to conv1, a gradient is multiplied by the slope of each "
            "activation: 0.25 at fc2, 0.25 at fc1, 0.25 at conv2 and 0.25 at conv1. Together, the "
            "slopes alone reduce it to 1/256 of its size. The weights, and in a convolution the sum "
            "over all positions, make it 2.6 times as large. That results in the 1/100 above.",
        ),
        (
            "activity",
            "This is not saturation: none of the outputs of the hidden layers have a slope below "
            "0.01. On the contrary, the slopes are nearly as large as they can be: this activation "
            "is nowhere steeper than 0.25. Even this slope in all 4 layers would reduce a gradient "
            "to 1/256.",
        ),
        (
            "distance_moved",
            "The kernel of conv1 could have moved by at most about 0.012: mean gradient norm 0.0010 "
            "times learning rate 0.01 times 1,200 steps. "
            "It hardly moved: by 0.0080, which is 0.40 % of its size at the start (2.0). fc3 moved "
            "by 50 % of its size.",
        ),
        (
            "gradients",
            "The gradient norm at conv1 does not grow: 0.0010 in the first half of the steps, "
            "0.0010 in the last quarter (geometric means). Training longer with the same options "
            "will hardly help.",
        ),
    ]
    changes = [dict(advice.changes) for advice in finding.advice]
    assert changes == [{"optimizer": "adam"}, {"activation": "relu"}, {"learning_rate": 0.1}]


def test_slopes_are_compared_with_the_greatest_slope_of_the_activation() -> None:
    for greatest, words in (
        (1.0, "But the activation can be steeper: its slope is up to 1.00, and at the outputs of"),
        (0.0, "have a slope below 0.01."),
    ):
        slopes = dict.fromkeys(LAYERS[:-1], greatest)
        (finding,) = diagnose(record(greatest_slopes=slopes, **VANISHING, **STUCK))
        assert words in told(finding)
        assert ("steeper" in told(finding)) == bool(greatest)
    further = VANISHING | {"slopes": dict.fromkeys(LAYERS[:-1], 0.4)}
    (finding,) = diagnose(record(**further, **STUCK))
    assert "reduce it to 1/39 of its size. The weights, and" in told(finding)
    assert "reduce it further. That results in the 1/100 above." in told(finding)


def test_why_learning_is_slow_is_a_reason() -> None:
    weak: dict[str, Any] = {"train_accuracy": 0.9, "test_accuracy": (0.1, 0.8, 0.9)}
    late = np.where(STEPS < 300, 2.303, np.linspace(2.3, 0.5, len(STEPS)))
    (slow, *_) = diagnose(record(train_loss=late, norms={"conv1": 0.01}, **weak))
    assert slow.rule == "slow"
    assert [step.plot for step in slow.evidence] == ["curves", "gradients"]
    assert "until about step 300 of 1,200, its training loss was that of" in told(slow)
    assert "only 1/100 of that at fc3" in told(slow)
    falling = np.linspace(2.3, 0.5, len(STEPS))
    (slow,) = diagnose(record(train_loss=falling, moved={"fc2": 0.1}, **weak))
    assert told(slow) == (
        "Most updates cancel each other. The 1,200 updates of the kernel of fc2 add up to about "
        "120 % of its size, but they point in different directions, so it moved by only 10 %."
    )
    (slow,) = diagnose(record(train_loss=falling, updates={"fc1": 0.0002}, **weak))
    assert "one update changes the kernel of fc1 by 0.020 % of its size" in told(slow)


def test_an_optimizer_that_divides_by_the_gradient_is_judged_by_its_updates() -> None:
    adam = STUCK | {"optimizer": "adam", "reach": 0.0, "usual_rate": 0.001, "learning_rate": 0.001}
    (finding,) = diagnose(record(**VANISHING, **adam))
    assert "The kernel of conv1 could have moved by at most about 0.012 in 1,200 steps" in told(
        finding
    )
    assert "learning rate" not in told(finding)
    assert {"optimizer": "adam"} not in [a.changes for a in finding.advice]


def test_momentum_lets_a_kernel_move_ten_times_as_far() -> None:
    (finding,) = diagnose(record(**VANISHING, **STUCK | {"optimizer": "momentum", "reach": 10.0}))
    assert "moved by at most about 0.12:" in told(finding) and "times 10 for the momentum" in told(
        finding
    )


def test_a_rate_that_is_too_small_is_the_reason_not_the_gradient() -> None:
    tiny = STUCK | {"learning_rate": 1e-6}
    (finding,) = diagnose(record(moved=dict.fromkeys(LAYERS, 1e-9), **tiny))
    assert finding.evidence[0].sentence == (
        "The updates are small because the learning rate is: 1e-06 is 1/10,000 of the default of "
        "this network and optimizer (0.01)."
    )
    assert "hardly help" not in told(finding), "it would, but only after very many steps"


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        (1e-6, "because the learning rate is: 1e-06 is 1/10,000 of"),
        (1.0, "The learning rate is large: 1 is 100 times"),
    ],
)
def test_a_rate_far_from_the_default_comes_before_vanishing_gradients(
    rate: float, says: str
) -> None:
    (finding,) = diagnose(record(**VANISHING, **STUCK | {"learning_rate": rate}))
    assert says in finding.evidence[0].sentence, "lenet.train prints only this one"
    assert finding.verdict == "has not begun to learn"
    assert [tip.changes for tip in finding.advice] == [{"learning_rate": 0.01}]


def test_a_rate_far_from_the_default_is_why_a_loss_grows() -> None:
    """The first reason is the one that `lenet.train` prints, and the advice must follow from it."""
    for options in ({"state": "diverged"}, {**STUCK, "test_loss": (2.3, 50.0, 60.0)}):
        run = record(**options | {"learning_rate": 1.0, "usual_rate": 0.01})
        finding = diagnose(run)[0]
        assert finding.rule in ("diverged", "thrown off")
        assert "1 is 100 times the default" in finding.evidence[0].sentence
        assert finding.advice[0].changes == {"learning_rate": 0.01}


def test_a_network_that_begins_with_a_rate_far_too_high_is_not_told_to_raise_it() -> None:
    late = np.where(STEPS < 700, 2.3, 1.8)
    begins = {"train_loss": late, "train_accuracy": 0.3, "learning_rate": 0.1}
    run = record(test_loss=(2.3, 2.3, 1.8), test_accuracy=(0.1, 0.1, 0.3), **begins)
    (finding,) = diagnose(run)
    assert finding.rule == "beginning"
    assert "0.1 is 100 times the default" in finding.evidence[0].sentence
    assert [tip.changes for tip in finding.advice] == [{"learning_rate": 0.001}]


def test_dead_units_are_not_called_vanishing_gradients() -> None:
    norms = {"conv1": np.array([0.001, 0.0, *[0.0] * 5]), "fc3": np.array([1.0, *[0.0] * 6])}
    found = diagnose(record(norms=norms, dead={"fc2": 1.0}, **STUCK))
    assert "100 of 100 units of fc2 are dead" in told(found[0])
    assert found[0].verdict == "has not begun to learn"


def test_early_stopping_that_ends_a_run_too_early_is_named() -> None:
    early = {"best_step": 600, "early_stopping": 1}
    (finding,) = diagnose(record(**VANISHING, **STUCK, **early))
    assert "after 2 epochs, because the validation loss had not fallen for 1 epoch" in (
        finding.evidence[0].sentence
    )
    assert finding.advice[0].changes == {"early_stopping": 5}


def test_a_network_with_dropout_that_stopped_early_does_not_overfit() -> None:
    early = {"best_step": 600, "early_stopping": 1, "dropout": 0.5, "train_accuracy": 0.76}
    (finding,) = diagnose(record(test_accuracy=(0.1, 0.92, 0.92), **early))
    assert finding.rule == "stopped early"
    assert [tip.changes for tip in finding.advice] == [{"early_stopping": 5}]
    assert "Dropout (rate 0.5) makes training harder" in told(finding)
    (finding,) = diagnose(record(test_accuracy=(0.1, 0.965, 0.965), **early))
    assert finding.rule == "healthy", "with dropout, the test accuracy counts"
    assert "Dropout (rate 0.5) makes training harder" in finding.sentence


def test_adam_is_not_advised_where_its_divisor_is_larger_than_the_gradient() -> None:
    for norm, advised in ((1e-4, True), (1e-9, False)):
        tiny = VANISHING | {"norms": {"conv1": norm, "fc3": 0.1}}
        (finding,) = diagnose(record(**tiny, **STUCK))
        assert ({"optimizer": "adam"} in [tip.changes for tip in finding.advice]) is advised


def test_units_that_died_of_a_large_update_have_it_as_their_reason() -> None:
    gone = {"norms": dict.fromkeys(LAYERS, 0.0), "dead": {"fc1": 1.0}, "updates": {"fc3": 0.4}}
    (finding, *_) = diagnose(record(**gone, **STUCK))
    assert "changed the kernel of fc3 by 40 % of its size" in told(finding)


def test_a_slow_network_with_a_high_rate_is_not_told_to_use_a_smaller_one() -> None:
    falling = {"train_loss": np.linspace(2, 0.8, len(STEPS)), "train_accuracy": 0.7}
    for rate in (0.1, 1e-5):
        (finding,) = diagnose(record(learning_rate=rate, test_accuracy=(0.1, 0.6, 0.7), **falling))
        rates = [piece.changes.get("learning_rate", rate) for piece in finding.advice]
        assert finding.rule == "slow" and min(rates) == rate
        assert (max(rates) > rate) == (rate < 0.001)


def test_a_rate_that_changes_is_not_multiplied() -> None:
    (finding,) = diagnose(record(**VANISHING, **STUCK | {"constant_rate": False}))
    assert "The kernel of conv1 could have moved by at most about 0.012 in 1,200 steps" in told(
        finding
    )
    assert "times learning rate" not in told(finding)


def test_a_gradient_that_grows_is_hope_and_more_epochs_come_first() -> None:
    growing = VANISHING | {"norms": {"conv1": 0.001 * 2.0 ** (INSPECTED / 200), "fc3": 0.5}}
    (finding,) = diagnose(record(**growing, **STUCK))
    assert "There is hope: the gradient norm at conv1 grows, 0.0040 in the first" in told(finding)
    assert finding.advice[0].changes["epochs"] == 4
    shrinking = VANISHING | {"norms": {"conv1": 0.001 / 2.0 ** (INSPECTED / 200), "fc3": 0.5}}
    assert "shrinks" in told(diagnose(record(**shrinking, **STUCK))[0])


def test_small_weights_are_told_from_small_slopes_and_from_saturation() -> None:
    small = VANISHING | {"slopes": dict.fromkeys(LAYERS, 0.9), "init": "truncated_normal"}
    (finding,) = diagnose(record(**small, **STUCK | {"activation": "elu"}))
    assert "That hardly reduces it: small weights do." in told(finding)
    smaller = small | {"slopes": dict.fromkeys(LAYERS, 0.6)}
    assert "small weights are the larger part" in told(diagnose(record(**smaller, **STUCK))[0])
    assert "saturat" not in told(finding)
    changes = [dict(advice.changes) for advice in finding.advice]
    assert {"init": "glorot_uniform"} in changes and {"activation": "relu"} not in changes
    flat = VANISHING | {"saturated": {"fc1": 0.6}}
    (finding,) = diagnose(record(**flat, **STUCK))
    assert "Saturation adds to it: 60 % of the outputs of fc1" in told(finding)


def test_no_gradient_at_all_is_traced_to_dead_units() -> None:
    none = {"norms": dict.fromkeys(LAYERS, 0.0), "dead": {"fc1": 1.0}}
    (first,) = diagnose(record(**none, **STUCK))
    assert "At step 1,200, the gradient norm at conv1 is 0" in told(first)
    assert "100 of 100 units of fc1 are dead" in told(first)
    assert "hope" not in told(first) and "does not grow" not in told(first)
    assert [advice.changes for advice in first.advice] == [{"learning_rate": 0.001}]


def test_gradients_that_vanish_early_are_a_note_where_the_network_learns() -> None:
    healthy, note = diagnose(record(norms={"conv1": 0.01}))
    assert (healthy.rule, note.rule) == ("healthy", "vanishing")
    assert (
        not note.wrong
        and "of that at fc3. The network learns nevertheless: its optimizer divides"
        in note.sentence
    )


def test_a_network_that_leaves_guessing_late_is_beginning_not_stalled() -> None:
    late = np.where(STEPS < 900, 2.303, 1.9)
    weak: dict[str, Any] = {"train_accuracy": 0.25, "test_accuracy": (0.1, 0.11, 0.3)}
    begins = record(train_loss=late, test_loss=(2.3, 2.3, 1.85), **weak)
    (finding,) = diagnose(begins)
    assert finding.rule == "beginning"
    assert "that of guessing until about 1.5 epochs" in finding.sentence
    assert "30.00 %" in finding.sentence
    assert finding.advice[0].changes["epochs"] == 4
    at_level = {**STUCK, "test_accuracy": (0.1, 0.1, 0.24)}
    (finding,) = diagnose(record(**at_level))
    assert finding.rule == "beginning"
    assert "24.00 % is clearly better than the 10 % of guessing" in finding.sentence
    for chance in ({"test_images": 20}, {"only_answer": "1"}):
        assert diagnose(record(**at_level, **chance))[0].rule == "not begun"
    from_above = record(train_loss=np.linspace(6, 1.2, len(STEPS)), test_loss=(6, 4, 1.2), **weak)
    assert diagnose(from_above)[0].rule == "slow", "its loss was never that of guessing for long"
    flat = weak | {"test_accuracy": (0.1, 0.3, 0.3)}
    early = record(train_loss=np.where(STEPS < 300, 2.303, 1.9), test_loss=(2.3, 2, 1.9), **flat)
    assert diagnose(early)[0].rule == "stalled"


def test_only_the_first_steps_count_as_early() -> None:
    late = np.where(INSPECTED > 600, 1e-9, 1.0)
    assert [f.rule for f in diagnose(record(norms={"conv1": late}))] == ["healthy"]


def test_a_gradient_of_zero_is_no_division_by_zero() -> None:
    finding = only(diagnose(record(norms={"conv1": 0.0})), "vanishing")
    assert "during the first 600 steps, the gradient norm at conv1 is zero" in finding.sentence
    assert diagnose(record(norms=dict.fromkeys(LAYERS, 0.0)))[0].rule == "healthy"


@pytest.mark.parametrize(
    ("norm", "words"), [(250.0, "fc1 is 250"), (np.nan, "is not a finite number")]
)
def test_exploding_gradients(norm: float, words: str) -> None:
    finding = only(diagnose(record(norms={"fc1": norm})), "exploding")
    assert words in finding.sentence and "fc1" in finding.sentence
    assert [advice.changes for advice in finding.advice][:2] == [
        {"clip_norm": 1.0},
        {"learning_rate": pytest.approx(0.0001)},
    ]


@pytest.mark.parametrize(("share", "wrong"), [(0.09, None), (0.2, False), (0.31, True)])
def test_dead_units_are_a_note_beside_a_good_result(share: float, wrong: bool | None) -> None:
    result, *notes = diagnose(record(dead={"fc1": share}))
    assert (result.rule, result.verdict, result.wrong) == ("healthy", "learns well", False)
    assert [note.wrong for note in notes] == ([] if wrong is None else [wrong])
    if wrong:
        assert notes[0].sentence.startswith(
            "Dead units: 31 of 100 units of fc1 (before training: 31) have the same"
        )
        assert notes[0].advice[0].changes == {"activation": "leaky_relu"}
        assert notes[0].plot == "activity"


def test_the_output_layer_is_never_dead_or_saturated() -> None:
    healthy = record(dead={"fc3": 1.0}, saturated={"fc3": 1.0}, activation="tanh")
    assert [f.rule for f in diagnose(healthy)] == ["healthy"]


def test_saturation_is_flat_outputs_and_a_small_mean_slope_whatever_the_activation() -> None:
    flat: dict[str, Any] = {"saturated": {"conv2": 0.8}, "slopes": {"conv2": 0.05}}
    finding = only(diagnose(record(**flat, activation="tanh")), "saturated")
    assert (
        "80 % of the outputs of conv2, and its root mean square there is 0.050" in finding.sentence
    )
    assert finding.advice[0].changes == {"activation": "relu"}
    half_of_relu = {"saturated": {"conv2": 0.8}, "slopes": {"conv2": 0.45}}
    assert [f.rule for f in diagnose(record(**half_of_relu))] == ["healthy"]


def test_overfitting_by_accuracy_is_the_result_and_by_loss_a_note() -> None:
    (finding,) = diagnose(record(train_accuracy=1.0, test_accuracy=(0.1, 0.79, 0.8)))
    assert finding.rule == "overfitting" and finding.wrong
    assert finding.sentence == (
        "Overfitting: the accuracy is 100.00 % on the training batches of the last epoch, and the "
        "test accuracy is 80.00 %, a gap of 20.0 percentage points."
    )
    healthy, note = diagnose(record(train_accuracy=1.0, test_loss=(2.3, 0.1, 0.2)))
    assert (healthy.rule, note.rule) == ("healthy", "rising loss")
    assert "rose from 0.100 (after 1 epoch) to 0.200" in note.sentence
    assert set(note.advice[0].changes) == {"early_stopping"}


def test_early_stopping_is_not_advised_with_too_few_images_to_validate_on() -> None:
    for images, advised in ((150, False), (1_000, True)):
        tip = early_stopping(record(train_images=images))
        assert (tip is not None) is advised


def test_losses_after_the_kept_step_say_nothing_about_the_kept_weights() -> None:
    losses, accuracies = (2.3, 0.5, 1.0, 0.1), (0.1, 0.97, 0.98, 0.99)
    kept = record(train_accuracy=1.0, test_loss=losses, test_accuracy=accuracies, best_step=1200)
    _, note = diagnose(kept)
    assert "rose from 0.500 (after 1 epoch) to 1.00" in note.sentence
    first = record(train_accuracy=1.0, test_loss=losses, test_accuracy=accuracies, best_step=600)
    assert [f.rule for f in diagnose(first)] == ["healthy"]


def test_a_run_that_ends_within_an_epoch_names_the_steps_of_its_training_accuracy() -> None:
    assert "training batches of the last 600 steps is" in diagnose(record(step=1100))[0].sentence


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "patience"),
    [(1, 600, 1), (2, 600, 1), (5, 600, 2), (20, 600, 5), (200, 5, 20), (30, 5, 15)],
)
def test_the_advised_patience_fits_into_the_run(
    epochs: int, steps_per_epoch: int, patience: int
) -> None:
    """A patience of as many epochs as the run has would never stop it."""
    run = record(step=epochs * steps_per_epoch, steps_per_epoch=steps_per_epoch)
    piece = early_stopping(run)
    assert piece is not None and piece.changes == {"early_stopping": patience}


def test_the_cures_of_overfitting_come_in_order_and_none_twice() -> None:
    gap: dict[str, Any] = {"train_accuracy": 1.0, "test_accuracy": (0.1, 0.79, 0.8)}
    gap |= {"test_loss": (2.3, 0.5, 0.9)}
    first = [
        next(iter(diagnose(record(**gap, **has))[0].advice[0].changes))
        for has in (
            {},
            {"early_stopping": 5},
            {"early_stopping": 5, "dropout": 0.5},
            {"early_stopping": 5, "dropout": 0.5, "augmented": True},
        )
    ]
    assert first == ["early_stopping", "fc_dropout", "augment", "weight_decay"]
    steady = diagnose(record(**gap | {"test_loss": (2.3, 0.9, 0.9)}, weight_decay=0.004))[0]
    assert [next(iter(a.changes)) for a in steady.advice] == [
        "fc_dropout", "augment", "early_stopping",
    ]  # fmt: skip


def test_with_early_stopping_the_kept_weights_are_judged() -> None:
    """After the best step, the test loss rose. These weights were not kept."""
    stopped = record(train_accuracy=1.0, test_loss=(2.3, 0.1, 0.2), best_step=600, early_stopping=3)
    assert (stopped.last_test_loss, stopped.last_test_accuracy) == (0.1, 0.97)
    (finding,) = diagnose(stopped)
    assert finding.rule == "healthy" and "after 1 epoch" in finding.sentence


def test_a_run_that_early_stopping_ended_is_not_told_to_train_longer() -> None:
    """Its validation loss rose, so neither more updates nor more patience would help."""
    options: dict[str, Any] = {"step": 220, "steps_per_epoch": 22, "train_images": 400}
    options |= {"best_step": 110, "early_stopping": 5, "num_classes": 2, "test_images": 100}
    at = (np.array([0, 110, 220]), np.array([0.7, 0.65, 0.9]))
    weak: dict[str, Any] = {"train_accuracy": 0.74, "test_loss": (0.7, 0.65, 0.9)}
    weak |= {"test_accuracy": (0.5, 0.63, 0.62)}
    ended = Record(**{**record(**weak | options).__dict__, "test_loss": at,
                      "test_accuracy": (at[0], np.array([0.5, 0.63, 0.62]))})  # fmt: skip
    (finding,) = diagnose(ended)
    assert finding.rule == "stopped early"
    assert "ended the training after 10 epochs" in finding.sentence
    assert "The weights after 5 epochs are kept" in finding.sentence
    assert "63.0 % (100 test images: 95 % interval 53 to 72 %)" in finding.sentence
    changes = {name for advice in finding.advice for name in advice.changes}
    assert changes == {"fc_dropout", "augment", "weight_decay"}


def test_only_a_network_that_knows_its_training_images_clearly_better_overfits() -> None:
    """At 50 % training accuracy, a gap of 10 points may still close. One of 54 points will not."""
    for share, overfits in ((0.5, False), (0.94, True), (0.96, True)):
        found = diagnose(
            record(train_accuracy=share, test_accuracy=(0.1, 0.4, 0.4), test_loss=(2.3, 1.5, 2.2))
        )
        assert ("overfitting" in [f.rule for f in found]) is overfits
        assert any("overfit" in f.sentence.lower() for f in found) is overfits
        assert ("rising loss" in [f.rule for f in found]) is not overfits


def test_a_difference_that_few_test_images_explain_is_not_overfitting() -> None:
    gap: dict[str, Any] = {"train_accuracy": 0.955, "test_accuracy": (0.3, 0.9, 12 / 14)}
    few = diagnose(record(**gap | {"test_images": 14}))
    assert [f.rule for f in few] == ["healthy"]
    assert "85.7 % (14 test images: 95 % interval 60 to 96 %)" in few[0].sentence
    assert "overfitting" in [f.rule for f in diagnose(record(**gap | {"test_images": 10_000}))]


def test_a_network_that_knows_only_its_training_images_does_not_guess() -> None:
    """Its test loss may be far above that of guessing, but the updates were not too large."""
    losses: dict[str, Any] = {"test_loss": (1.1, 1.5, 4.0), "test_accuracy": (0.3, 0.36, 0.36)}
    found = diagnose(
        record(**losses | {"train_accuracy": 1.0, "num_classes": 3, "test_images": 14})
    )
    assert [f.rule for f in found] == ["overfitting"]


@pytest.mark.parametrize(
    ("share", "count", "limits"),
    [(9 / 14, 14, (0.388, 0.837)), (0.0, 10, (0.0, 0.278)), (1.0, 10, (0.722, 1.0))],
)
def test_the_interval_is_wilsons(share: float, count: int, limits: tuple[float, float]) -> None:
    assert diagnosis.wilson_interval(share, count) == pytest.approx(limits, abs=1e-3)


def test_an_accuracy_has_its_interval_where_test_images_are_few() -> None:
    shown = diagnosis.interval_in_words(9 / 14, 14)
    assert shown == " (14 test images: 95 % interval 39 to 84 %)"
    assert diagnosis.interval_in_words(0.987, 10_000) == ""
    assert diagnosis.interval_in_words(0.987, 0) == ""


FEW: dict[str, Any] = {
    "step": 100,
    "train_images": 800,
    "train_accuracy": 0.1,
    "test_accuracy": (0.1, 0.12, 0.13),
    "test_loss": (2.4, 2.31, 2.3),
}


def test_few_updates_say_how_far_the_first_kernel_has_moved() -> None:
    """Adam moves a kernel far although its gradient is small, so the gradient alone says nothing."""
    expected = {
        ("sgd", 1.0, 0.004): ", so the kernel of conv1 has moved by only 0.40 % of its size.",
        ("adam", 0.0, 0.004): ", and the kernel of conv1 has moved by only 0.40 % of its size.",
        ("adam", 0.0, 0.6): ", but the kernel of conv1 has moved by 60 % of its size.",
    }
    for (optimizer, reach, moved), end in expected.items():
        seen = VANISHING | {"moved": {"conv1": moved}}
        (finding, *_) = diagnose(record(**seen, **FEW, optimizer=optimizer, reach=reach))
        assert finding.rule == "few updates"
        assert finding.sentence.endswith(f"is only 1/100 of that at fc3{end}")


def test_few_updates_with_dropout_or_unusual_weights_name_them() -> None:
    hard = FEW | {"dropout": 0.9, "test_accuracy": (0.1, 0.3, 0.46)}
    (finding,) = diagnose(record(**hard))
    assert "Dropout (rate 0.9) makes training harder" in finding.sentence
    (finding,) = diagnose(record(**VANISHING, **FEW, init="truncated_normal"))
    assert finding.advice[0].changes == {"init": "glorot_uniform"}


def test_dead_units_are_counted_in_every_layer_and_before_training() -> None:
    several = only(diagnose(record(dead={"fc1": 0.2, "fc2": 0.04})), "dead").sentence
    assert "20 of 100 units of fc1 (before training: 20) and 4 of 100 units of fc2" in several
    for start, says in ((0.0, "none"), (0.01, "1"), (0.1, "10")):
        found = diagnose(record(dead={"fc1": np.array([start, *[0.5] * 6])}))
        assert (
            f"50 of 100 units of fc1 (before training: {says}) have" in only(found, "dead").sentence
        )


def test_a_vanishing_gradient_is_told_once() -> None:
    """It explains why a network began late, so a note that it does not matter would contradict."""
    late = {
        "train_loss": np.where(STEPS < 600, 2.3, np.linspace(3, 0.3, len(STEPS))),
        "train_accuracy": 0.8,
        "test_accuracy": (0.1, 0.1, 0.8),
        "test_loss": (2.3, 2.3, 0.5),
    }
    (finding,) = diagnose(record(**late, **VANISHING))
    assert finding.rule == "slow" and "only 1/100 of that at fc3" in told(finding)


def test_the_accuracy_of_an_epoch_that_was_kept_is_not_that_of_the_last() -> None:
    (finding, *_) = diagnose(record(best_step=600))
    assert "on the training batches of the epoch that was kept is 98.00 %" in finding.sentence


def test_too_few_updates_come_first_and_alone() -> None:
    """Five updates of 46 images explain everything else that one could say."""
    five = record(**STUCK | {"step": 5, "steps_per_epoch": 1, "train_images": 46})
    (finding,) = diagnose(five)
    assert finding.rule == "few updates" and finding.wrong
    assert "only 5 updates" in finding.sentence
    assert finding.advice[0].changes == {"batch_size": 8, "epochs": 60, "max_steps": None}
    assert "gradient" not in finding.sentence
    small = diagnose(
        record(**STUCK, norms={"conv1": 0.01}, step=5, steps_per_epoch=1, train_images=46)
    )[0]
    assert "the gradient norm at conv1 is only 1/100 of that at fc3" in small.sentence
    tiny = record(**STUCK | {"step": 5, "steps_per_epoch": 1, "train_images": 10})
    assert diagnose(tiny)[0].advice[0].changes["epochs"] == 150
    fitted = (STEPS, np.full(len(STEPS), 0.96))
    for other in ({"step": 300}, {"train_accuracy": fitted}, {"state": "diverged"}):
        changed = Record(**{**five.__dict__, **other})
        assert "few updates" not in [f.rule for f in diagnose(changed)]


def test_the_training_accuracy_of_an_epoch_counts_every_image_once() -> None:
    """An epoch of 40 images in a batch of 32 and one of 8: 32 right answers of 40."""
    hits = (np.array([1, 2, 3, 4]), np.array([0.0, 0.0, 1.0, 0.0]))
    run = record(step=4, steps_per_epoch=2)
    run = Record(**{**run.__dict__, "train_accuracy": hits, "last_batch": 8 / 32})
    assert run.last_train_accuracy == pytest.approx(0.8)


def test_a_loss_that_is_not_a_number_has_diverged() -> None:
    losses = np.where(STEPS < 1000, 2.0, np.nan)
    found = diagnose(record(state="diverged", step=1000, learning_rate=10.0, train_loss=losses))
    assert found[0].rule == "diverged" and found[0].wrong
    assert "at step 1,000" in found[0].sentence and found[0].advice[0].changes == {
        "learning_rate": 0.001
    }
    assert "not begun" not in [f.rule for f in found]
    early = record(state="diverged", step=2, test_loss=(), test_accuracy=(), train_loss=losses)
    assert diagnose(early)[0].rule == "diverged"


def test_a_network_thrown_off_is_not_one_that_has_not_begun() -> None:
    updates = {"fc2": np.where(INSPECTED == 400, 3.0, 0.001)}
    found = diagnose(record(updates=updates, **STUCK | {"test_loss": (2.3, 9.0, 8.0)}))
    assert told(found[0]) == (
        "The update at step 400 changed the kernel of fc2 by 300 % of its size. About 0.1 % is usual."
    )
    assert found[0].rule == "thrown off" and found[0].advice[0].changes == {"learning_rate": 0.001}


def test_slow_learning_differs_from_no_learning() -> None:
    falling = np.linspace(2.3, 0.5, len(STEPS))
    weak: dict[str, Any] = {"train_accuracy": 0.85, "test_accuracy": (0.1, 0.8, 0.85)}
    (slow,) = diagnose(record(train_loss=falling, optimizer="sgd", reach=1.0, **weak))
    assert "85.00 % after 2 epochs" in slow.sentence
    assert "85.00 % after 2 epochs (after 1 epoch: 80.00 %), its accuracy on" in slow.sentence
    assert slow.evidence == (), "a fast rise is no reason for being slow"
    changes = [next(iter(advice.changes.items())) for advice in slow.advice]
    assert changes == [("optimizer", "momentum"), ("epochs", 4), ("learning_rate", 0.01)]
    (larger,) = diagnose(record(train_loss=falling, **weak))
    assert [next(iter(a.changes)) for a in larger.advice] == ["epochs", "learning_rate"]
    still = np.full(len(STEPS), 0.5)
    rises = diagnose(record(train_loss=still, **weak))[0]
    assert (
        rises.rule == "slow"
        and "and its test accuracy was still rising at the end" in rises.sentence
    )
    flat = weak | {"test_accuracy": (0.1, 0.85, 0.85)}
    assert only(diagnose(record(train_loss=still, **flat)), "stalled").wrong
    late = np.where(0.9 * STEPS[-1] >= STEPS, 2.2, 1.5)
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
    made = options_of(TrainConfig(**own).resolved(1))
    (finding, *_) = diagnose(record(**(STUCK if rule == "not begun" else weak) | made))
    assert finding.rule == rule and finding.advice
    for advice in finding.advice:
        assert all(own.get(name, "") != value for name, value in advice.changes.items())


@pytest.mark.parametrize(
    ("rate", "advised"),
    [(1e-9, 1e-3), (1.1e-5, 1e-3), (5e-4, 5e-3), (0.001, 1e-4), (0.01, 0.001), (1e4, 1e-3)],
)
def test_advice_about_the_rate_leads_to_the_usual_one(rate: float, advised: float) -> None:
    stuck = STUCK | {"activation": "relu", "optimizer": "adam", "learning_rate": rate}
    stuck |= {"usual_rate": 0.001, "reach": 0.0}
    updates = dict.fromkeys(LAYERS, 0.5 if rate >= 0.001 else 0.0001)
    (finding,) = diagnose(record(updates=updates, **stuck))
    assert finding.advice[0].changes == {"learning_rate": pytest.approx(advised)}


def test_the_last_steps_alone_are_too_few_to_be_slow_or_stalled_or_well() -> None:
    end = STEPS[-100:]
    resumed = record(train_accuracy=0.8, test_accuracy=(0.1, 0.7, 0.8))
    series = {"train_loss": (end, np.full(100, 0.5)), "train_accuracy": (end, np.full(100, 0.8))}
    assert [f.rule for f in diagnose(Record(**{**resumed.__dict__, **series}))] == ["unclear"]


def test_a_low_accuracy_with_few_logged_losses_is_not_called_good() -> None:
    for train, test, rule in ((0.4, 0.35, "unclear"), (0.93, 0.92, "healthy")):
        few = {
            "train_loss": (STEPS[599::600], np.array([1.9, 1.8])),
            "train_accuracy": (STEPS[599::600], np.array([train, train])),
        }
        run = record(test_accuracy=(0.1, test, test), test_loss=(2.3, 1.9, 1.8))
        assert [f.rule for f in diagnose(Record(**{**run.__dict__, **few}))] == [rule]


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
        {"saturated": {"fc1": 0.9}, "slopes": {"fc1": 0.02}, "activation": "sigmoid"},
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
        assert finding.advice
        for advice in finding.advice:
            assert advice.words and advice.changes
            TrainConfig(**advice.changes)
        assert finding.verdict.startswith(diagnosis.RULES[finding.rule].verdict)


def test_a_rate_far_from_the_usual_one_comes_before_everything_else() -> None:
    dead = {"norms": dict.fromkeys(LAYERS, 0.0), "dead": {"fc1": 1.0}, "learning_rate": 1.0}
    few = {"step": 100, "train_images": 797}
    (finding,) = diagnose(
        record(**dead, **few, **{k: v for k, v in STUCK.items() if k not in dead})
    )
    assert finding.rule == "not begun", "more updates do not bring dead units back"
    assert [advice.changes for advice in finding.advice] == [{"learning_rate": 0.01}]


def test_a_low_accuracy_under_dropout_is_told_as_such() -> None:
    falling = np.linspace(2.3, 1.7, len(STEPS))
    options: dict[str, Any] = {"train_accuracy": 0.25, "test_accuracy": (0.1, 0.7, 0.85)}
    finding = diagnose(
        record(train_loss=falling, test_loss=(2.3, 2.1, 1.75), dropout=0.9, **options)
    )[0]
    assert finding.rule == "slow", "at 85 % it is not just beginning"
    assert "Dropout (rate 0.9) makes training harder" in told(finding)


def test_a_loss_far_above_guessing_is_not_near_it() -> None:
    high = STUCK | {"test_loss": (6.0, 4.5, 3.9), "test_accuracy": (0.1, 0.2, 0.28)}
    high |= {"train_loss": np.linspace(6.0, 3.9, len(STEPS)), "train_accuracy": 0.28}
    assert diagnose(record(**high))[0].rule == "slow"
