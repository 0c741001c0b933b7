"""What recorded numbers mean, in sentences, by stated rules: plain functions.

Each rule looks at what one run recorded and either says nothing or gives a `Finding`: a sentence
with the numbers it rests on, the plot that shows them and, where something is wrong, what to try.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lenet.config import TrainConfig

Series = tuple[np.ndarray, np.ndarray]
"""Steps, int [n], ascending, and the value at each, float [n]."""

NOT_BEGUN = 0.98
WORSE_THAN_GUESSING = 1.1
EARLY_STEPS = 600
VANISHING_RATIO = 1 / 20
EXPLODING_NORM = 100.0
DEAD, MUCH_DEAD, SATURATED = 0.1, 0.3, 0.5
SATURATING = ("sigmoid", "tanh")
GAP, RISEN = 0.05, 1.25
LEARNED, FITTED, STILL_FALLING = 0.9, 0.95, 0.05

# What each rule is called, and what it asks, as the report prints it.
RULES = {
    "diverged": ("diverged", "the loss stopped being a finite number"),
    "failed": ("failed", "the run ended with an error"),
    "not begun": (
        "has not begun to learn",
        "the test loss is at least 98 % of ln C, that of guessing among C classes, and so is the "
        "training loss of the last epoch, or the accuracy is less than a tenth of the way from "
        "guessing to perfect",
    ),
    "thrown off": (
        "worse than guessing",
        "the test loss is above 110 % both of ln C and of where it began, and the accuracy hardly "
        "above guessing",
    ),
    "exploding": (
        "exploding gradients",
        "the gradient norm of a layer is 100 or more at an inspection",
    ),
    "vanishing": (
        "vanishing gradients",
        "over the inspections of the first 600 steps the gradient norm of the first layer is, "
        "in geometric mean, at most 1/20 of that of the last",
    ),
    "dead": (
        "dead units",
        "at the last inspection 10 % or more of a hidden layer is dead; from 30 % on it counts as "
        "wrong",
    ),
    "saturated": (
        "saturation",
        "with sigmoid or tanh, half or more of a hidden layer's outputs lie where the slope is "
        "below 0.01 at the last inspection",
    ),
    "overfitting": (
        "overfitting",
        "in the last epoch the accuracy on the training batches is at least 5 points above that "
        "on the test images, or the test loss has risen by a quarter above its least value",
    ),
    "slow": (
        "slow learning",
        "the training accuracy is below 95 % and the loss fell by 5 % or more from the third "
        "quarter of the steps to the last eighth",
    ),
    "stalled": (
        "stalled",
        "the training accuracy is below 90 % and the loss no longer falls",
    ),
    "healthy": ("learns well", "none of the rules above found anything wrong"),
    "unmeasured": ("nothing measured", "the run has recorded no evaluation after its first step"),
}


@dataclass(frozen=True)
class Record:
    """What one run recorded, as far as it got.

    Attributes:
        state: as in `status.json`.
        step: updates made.
        train_loss, train_accuracy: of each logged batch; nats, and from 0 to 1.
        test_loss, test_accuracy: of each evaluation.
        gradient_norm, dead_fraction, saturated_fraction: by layer, in order of depth, at each
            inspection; empty without inspections.
        error: why a run failed, if that is known.
        dropout: the greatest share of values it drops anywhere.
        augmented: whether its training images are changed each time.
    """

    state: str
    step: int
    activation: str
    optimizer: str
    learning_rate: float
    num_classes: int
    steps_per_epoch: int
    train_loss: Series
    train_accuracy: Series
    test_loss: Series
    test_accuracy: Series
    gradient_norm: Mapping[str, Series] = field(default_factory=dict)
    dead_fraction: Mapping[str, Series] = field(default_factory=dict)
    saturated_fraction: Mapping[str, Series] = field(default_factory=dict)
    error: str = ""
    dropout: float = 0.0
    augmented: bool = False

    @property
    def last_train_accuracy(self) -> float:
        """The mean over the batches of the last epoch; NaN where none was logged."""
        return _tail_mean(self.train_accuracy, self.step - self.steps_per_epoch)

    def epochs(self, step: int) -> str:
        """So many steps in epochs, e.g. "1 epoch" or "2.5 epochs"."""
        count = f"{step / self.steps_per_epoch:.3g}"
        return f"{count} epoch{'' if count == '1' else 's'}"


@dataclass(frozen=True)
class Finding:
    """One thing the numbers say.

    Attributes:
        rule: a key of RULES.
        sentence: what was found, with the numbers.
        plot: what shows them: "curves", "gradients" or "activity".
        wrong: whether something should be done about it.
        advice: what to try, e.g. "Try a rate ten times smaller"; "" where nothing is wrong.
        changes: the same as options of a TrainConfig.
    """

    rule: str
    sentence: str
    plot: str
    wrong: bool = False
    advice: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The rule's name in two or three words."""
        return RULES[self.rule][0]


def options_of(config: TrainConfig) -> dict[str, Any]:
    """What a Record holds of a run's options."""
    return {
        "activation": config.activation,
        "optimizer": config.optimizer,
        "learning_rate": float(config.learning_rate or 0),
        "dropout": max(config.conv_dropout or 0.0, config.fc_dropout or 0.0),
        "augmented": bool(config.augment),
    }


def diagnose(record: Record) -> list[Finding]:
    """All that the rules find in one run, the most important first; never empty."""
    if record.state == "failed":
        sentence = (
            f"The run failed after {record.step:,} steps: {record.error or 'no reason noted.'}"
        )
        return [Finding("failed", sentence, "curves", True, "Go on with it")]
    if record.state != "diverged" and not (record.test_loss[0] > 0).any():
        return [Finding("unmeasured", "It has not been evaluated after its first step.", "curves")]
    found = [finding for rule in _RULES if (finding := rule(record))]
    # A network that does not learn is not overfitting, and its gradients are the reason.
    if not any(finding.wrong for finding in found):
        found.insert(0, _healthy(record))
    return found


def has_not_begun(loss: float, num_classes: int) -> bool:
    """Whether a network is still where it started: its loss no better than guessing.

    A network that gives every one of n classes the same probability has a loss of ln n nats;
    the rule is a loss of at least 98 % of that.
    """
    return loss >= NOT_BEGUN * math.log(num_classes)


def not_begun_sentence(loss: float, accuracy: float, num_classes: int) -> str:
    """Says that a network has not begun to learn, and from which numbers one sees it."""
    how = "still" if loss <= WORSE_THAN_GUESSING * math.log(num_classes) else "no better than"
    return (
        f"This network has not begun to learn: its test loss of {loss:.4f} is {how} that of "
        f"guessing, ln {num_classes} = {math.log(num_classes):.4f} (accuracy {100 * accuracy:.2f} %)."
    )


def gradient_ratio(record: Record) -> tuple[float, str, str, int] | None:
    """How much smaller the gradient is at the first layer than at the last, early in training.

    Returns:
        The geometric mean of (norm at the first layer) / (norm at the last) over the inspections
        of the first 600 steps; both layers' names; the last step looked at. None where there is
        nothing to compare.
    """
    layers = list(record.gradient_norm)
    if len(layers) < 2:
        return None
    (steps, first), (_, last) = record.gradient_norm[layers[0]], record.gradient_norm[layers[-1]]
    early = (steps <= EARLY_STEPS) & np.isfinite(first) & np.isfinite(last) & (last > 0)
    if not early.any():
        return None
    ratios = np.maximum(first[early] / last[early], 1e-12)
    return float(np.exp(np.log(ratios).mean())), layers[0], layers[-1], int(steps[early].max())


def percent(share: float) -> str:
    """A share from 0 to 1 with up to one decimal, e.g. "31 %" or "98.7 %"."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _diverged(record: Record) -> Finding | None:
    if record.state != "diverged":
        return None
    rate = record.learning_rate / 10
    return Finding(
        "diverged",
        f"The loss stopped being a number at step {record.step:,}: the updates were too large and "
        f"threw the weights out of reach (rate {record.learning_rate:g}).",
        "curves",
        True,
        "Try a rate ten times smaller",
        {"learning_rate": rate},
    )


def _not_begun(record: Record) -> Finding | None:
    loss, accuracy = float(record.test_loss[1][-1]), float(record.test_accuracy[1][-1])
    if not _guesses(record):
        return None
    chance = math.log(record.num_classes)
    # At random first weights the loss may lie above that of guessing: it has to have risen.
    if loss > WORSE_THAN_GUESSING * max(chance, float(record.test_loss[1][0])):
        return Finding(
            "thrown off",
            f"It does worse than guessing: its test loss is {loss:.3g}, above "
            f"ln {record.num_classes} = {chance:.3f}, at an accuracy of {percent(accuracy)}: the "
            "updates were too large.",
            "curves",
            True,
            "Try a rate ten times smaller",
            {"learning_rate": record.learning_rate / 10},
        )
    advice, changes = _livelier(record)
    return Finding(
        "not begun",
        f"The loss stays at ln {record.num_classes} = {chance:.3f}, that of guessing (test loss "
        f"{loss:.3f}, accuracy {percent(accuracy)}): the network has not begun to learn.",
        "curves",
        True,
        advice,
        changes,
    )


def _exploding(record: Record) -> Finding | None:
    worst = max(
        (
            (float(np.nanmax(np.where(np.isfinite(norms), norms, np.inf))), name)
            for name, (_, norms) in record.gradient_norm.items()
        ),
        default=(0.0, ""),
    )
    norm, name = worst
    if norm < EXPLODING_NORM:
        return None
    size = f"reaches {norm:,.0f}" if math.isfinite(norm) else "is no longer a number"
    return Finding(
        "exploding",
        f"The gradient at {name} {size}: exploding.",
        "gradients",
        True,
        "Try a rate ten times smaller",
        {"learning_rate": record.learning_rate / 10},
    )


def _vanishing(record: Record) -> Finding | None:
    found = gradient_ratio(record)
    if found is None or found[0] > VANISHING_RATIO:
        return None
    ratio, first, last, until = found
    when = f"during the first {until:,} steps" if until else "before training"
    size = f"1/{1 / ratio:,.0f} of that at {last}" if ratio > 1e-9 else "zero"
    sentence = f"The gradient at {first} is {size} {when}: vanishing"
    if not _guesses(record):
        return Finding("vanishing", f"{sentence}. It learns all the same.", "gradients")
    advice, changes = _livelier(record, other_activation=True)
    return Finding("vanishing", f"{sentence}.", "gradients", True, advice, changes)


def _dead(record: Record) -> Finding | None:
    share, name = _worst_hidden(record.dead_fraction)
    if share < DEAD:
        return None
    sentence = (
        f"{percent(share)} of {name} is dead: those units give the same output for every image"
    )
    if share < MUCH_DEAD:
        return Finding("dead", f"{sentence}. The others suffice.", "activity")
    advice, changes = "Try a smaller rate", {"learning_rate": record.learning_rate / 10}
    if record.activation == "relu":
        advice, changes = "Try an activation that never goes flat", {"activation": "leaky_relu"}
    return Finding(
        "dead",
        f"{sentence}.",
        "activity",
        True,
        advice,
        changes,
    )


def _saturated(record: Record) -> Finding | None:
    share, name = _worst_hidden(record.saturated_fraction)
    if record.activation not in SATURATING or share < SATURATED:
        return None
    return Finding(
        "saturated",
        f"{percent(share)} of the outputs of {name} are saturated: they lie where "
        f"{record.activation} is flat and lets hardly any gradient through.",
        "activity",
        True,
        "Try an activation that does not saturate above zero",
        {"activation": "relu"},
    )


def _overfitting(record: Record) -> Finding | None:
    if record.state == "diverged" or _guesses(record) or not len(record.train_accuracy[1]):
        return None
    train, test = record.last_train_accuracy, float(record.test_accuracy[1][-1])
    steps, losses = record.test_loss
    best = int(np.argmin(losses))
    least, last = float(losses[best]), float(losses[-1])
    epoch = max(1, round(steps[best] / record.steps_per_epoch))
    cure: tuple[str, dict[str, Any]] = (
        "Try to stop where the test loss was least",
        {"epochs": epoch},
    )
    if train - test >= GAP:
        sentence = f"train {percent(train)}, test {percent(test)}: overfitting."
        if not record.dropout:
            cure = ("Try dropout", {"fc_dropout": 0.5})
        elif not record.augmented:
            cure = ("Try augmentation", {"augment": ("shift", "rotate", "zoom")})
        elif record.optimizer != "adamw" and last <= RISEN * least:
            cure = ("Try weight decay", {"optimizer": "adamw"})
    elif last > RISEN * least and train > test:
        sentence = (
            f"The test loss has risen from {least:.3f} (after {record.epochs(steps[best])}) to "
            f"{last:.3f} while the training goes on improving: overfitting."
        )
    else:
        return None
    return Finding("overfitting", sentence, "curves", True, *cure)


def _slow(record: Record) -> Finding | None:
    train = record.last_train_accuracy
    steps, losses = record.train_loss
    if _guesses(record) or record.state == "diverged" or len(losses) < 8 or not train < FITTED:
        return None
    third = losses[(steps > steps[-1] / 2) & (steps <= steps[-1] * 3 / 4)].mean()
    # Its end alone: a network that only then begins to learn is late, not stalled.
    eighth = losses[steps > steps[-1] * 7 / 8].mean()
    fall = 1 - float(eighth / third)
    test = percent(float(record.test_accuracy[1][-1]))
    rate = record.learning_rate
    if fall >= STILL_FALLING:
        advice = f"Try a larger rate ({10 * rate:g} instead of {rate:g})"
        changes: dict[str, Any] = {"learning_rate": 10 * rate}
        if record.optimizer == "sgd":
            advice, changes = "Try momentum, which adds up small steps", {"optimizer": "momentum"}
        return Finding(
            "slow",
            f"It learns slowly: test accuracy {test} after {record.epochs(record.step)}, and the "
            f"loss was still falling ({percent(fall)} in the last quarter of the steps).",
            "curves",
            True,
            advice,
            changes,
        )
    if train >= LEARNED:
        return None
    return Finding(
        "stalled",
        f"Learning has stalled: test accuracy {test}, and the loss no longer falls.",
        "curves",
        True,
        *_livelier(record),
    )


def _healthy(record: Record) -> Finding:
    test = percent(float(record.test_accuracy[1][-1]))
    sentence = f"It learns well: test accuracy {test} after {record.epochs(record.step)}"
    train = record.last_train_accuracy
    if math.isfinite(train):
        sentence += f", {percent(train)} on the training batches of the last epoch"
    found = gradient_ratio(record)
    if found and found[0] > VANISHING_RATIO:
        ratio, first, last, _ = found
        size = "about as large as" if 2 / 3 < ratio < 3 / 2 else f"{ratio:.2g} times"
        size = f"1/{1 / ratio:.2g} of" if ratio <= 2 / 3 else size
        sentence += f"; early on, the gradient at {first} is {size} that at {last}"
    return Finding("healthy", f"{sentence}.", "curves")


_RULES: Sequence[Callable[[Record], Finding | None]] = (
    _diverged,
    lambda record: None if record.state == "diverged" else _not_begun(record),
    _exploding,
    _vanishing,
    _dead,
    _saturated,
    _overfitting,
    _slow,
)


def _guesses(record: Record) -> bool:
    """Whether the network guesses: by its test loss, and by its accuracy or training loss."""
    if not len(record.test_loss[1]):
        return False
    loss, accuracy = float(record.test_loss[1][-1]), float(record.test_accuracy[1][-1])
    guess = 1 / record.num_classes
    training = _tail_mean(record.train_loss, record.step - record.steps_per_epoch)
    return has_not_begun(loss, record.num_classes) and (
        accuracy < guess + 0.1 * (1 - guess) or has_not_begun(training, record.num_classes)
    )


def _livelier(record: Record, other_activation: bool = False) -> tuple[str, dict[str, Any]]:
    """What gets a network going whose updates are too small."""
    if record.optimizer != "adam" and not (other_activation and record.activation in SATURATING):
        return "Try an optimizer that scales its steps to the gradient", {"optimizer": "adam"}
    if record.activation != "relu":
        return "Try an activation that lets the gradient through", {"activation": "relu"}
    return "Try a smaller rate", {"learning_rate": record.learning_rate / 10}


def _worst_hidden(layers: Mapping[str, Series]) -> tuple[float, str]:
    """The greatest last value among the layers but the output, and whose it is."""
    hidden = list(layers)[:-1]
    found = [(float(layers[name][1][-1]), name) for name in hidden if len(layers[name][1])]
    return max((pair for pair in found if math.isfinite(pair[0])), default=(0.0, ""))


def _tail_mean(series: Series, after: int) -> float:
    steps, values = series
    tail = values[steps > after]
    return float(tail.mean()) if len(tail) else float("nan")
