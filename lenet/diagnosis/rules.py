"""The rules of the diagnosis: which there are, and the condition of each in words.

A new rule needs a function in `guessing`, `results` or `notes` and an entry in RULES. The entry contains the
rule's question, written with the same constants that the function compares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from lenet.diagnosis.evidence import EARLY_STEPS, VANISHING_RATIO
from lenet.diagnosis.guessing import (
    BEGAN_LATE,
    HALFWAY,
    HARDLY_BETTER,
    NOT_BEGUN,
    STILL_NEAR,
    WORSE_THAN_GUESSING,
    beginning,
    not_begun,
    thrown_off,
)
from lenet.diagnosis.notes import (
    DEAD,
    EXPLODING_NORM,
    FLAT,
    RISEN,
    SATURATED,
    TOO_MANY_DEAD,
    dead,
    exploding,
    rising_loss,
    saturated,
    unfinished,
    vanishing,
)
from lenet.diagnosis.progress import LARGE_UPDATE
from lenet.diagnosis.record import Finding, Record
from lenet.diagnosis.results import (
    FITTED,
    GAP,
    LARGE_GAP,
    LEARNED,
    STILL_FALLING,
    STILL_RISING,
    diverged,
    failed,
    healthy,
    overfits,
    slow,
    stalled,
    stopped_early,
    unclear,
    unmeasured,
)
from lenet.diagnosis.small_data import FEW_UPDATES, few_updates
from lenet.diagnosis.words import percent
from lenet.diagnostics import SATURATED_SLOPE

Mood = Literal["wrong", "underway", "right", "open", "note"]
"""What a rule says about a run: it went wrong, it needs more time, it went well, too little was
measured to tell, or a remark that is no result."""


class Rule(NamedTuple):
    """One rule.

    Attributes:
        verdict: what it finds, in two or three words.
        question: the condition under which it finds something, in words.
        find: returns a finding, without `rule` and `verdict`, or None.
        mood: what it says about the run. A run has exactly one result, and any number of notes.
        announced: whether `lenet.train` prints the finding at the end of a run.
    """

    verdict: str
    question: str
    find: Callable[[Record], Finding | None]
    mood: Mood
    announced: bool = False

    @property
    def is_result(self) -> bool:
        return self.mood != "note"


RULES = {
    "failed": Rule("failed", "the run ended with an error", failed, "wrong"),
    "unmeasured": Rule(
        "nothing measured",
        "the run has recorded no evaluation after its first step",
        unmeasured,
        "open",
    ),
    "diverged": Rule(
        "diverged",
        "the loss is no longer a finite number",
        diverged,
        "wrong",
        announced=True,
    ),
    "few updates": Rule(
        "too few updates",
        f"the run made fewer than {FEW_UPDATES} updates at a usual learning rate, the accuracy on its "
        f"training batches is below {percent(FITTED)}, no update changed a kernel by "
        f"{percent(LARGE_UPDATE)} or more of its size, and the gradient is not 0",
        few_updates,
        "underway",
        announced=True,
    ),
    "not begun": Rule(
        "has not begun to learn",
        f"the test loss is at least {percent(NOT_BEGUN)} of ln C, the loss of guessing among C "
        "classes, and either the same holds for the training loss of the last epoch, or training "
        f"and test accuracy are less than {percent(HARDLY_BETTER)} of the way from guessing to perfect",
        not_begun,
        "wrong",
        announced=True,
    ),
    "thrown off": Rule(
        "worse than guessing",
        f"the same conditions hold, and the test loss is more than {WORSE_THAN_GUESSING:g} times as "
        "large as both ln C and its initial value",
        thrown_off,
        "wrong",
        announced=True,
    ),
    "overfitting": Rule(
        "overfitting",
        "the accuracy on the training batches of the last epoch is above the 95 % interval of the "
        f"test accuracy, and at least {100 * GAP:g} percentage points above the test accuracy "
        f"({100 * LARGE_GAP:g} if the training accuracy is below {percent(FITTED)})",
        overfits,
        "wrong",
        announced=True,
    ),
    "stopped early": Rule(
        "stopped early",
        "early stopping ended the run, and the accuracy on the training batches of the epoch whose "
        f"weights are kept is below {percent(FITTED)} (with dropout, the test accuracy is, too)",
        stopped_early,
        "wrong",
        announced=True,
    ),
    "beginning": Rule(
        "is beginning to learn",
        f"the training loss (mean over a sixteenth of the steps) was {percent(NOT_BEGUN)} to "
        f"{percent(WORSE_THAN_GUESSING)} of ln C in the last {percent(1 - BEGAN_LATE)} of the "
        f"steps, is lower now, the test loss is at least {percent(STILL_NEAR)} of ln C, and the test "
        f"accuracy is less than {percent(HALFWAY)} of the way from guessing to perfect; or the "
        "test loss is still that of guessing, and the test accuracy is clearly better",
        beginning,
        "underway",
    ),
    "slow": Rule(
        "learns slowly",
        f"the accuracy on the training batches of the last epoch is below {percent(FITTED)} (with "
        "dropout, the test accuracy is, too), and the network still improves: either the training loss fell by "
        f"{percent(STILL_FALLING)} or more from the third quarter of the steps to the last eighth, or "
        f"the test accuracy rose by at least {100 * STILL_RISING:g} percentage points in the last epoch",
        slow,
        "underway",
    ),
    "stalled": Rule(
        "stalled",
        "the accuracy on the training batches of the last epoch is below "
        f"{percent(LEARNED)}, the training loss fell by less than {percent(STILL_FALLING)} over the "
        f"same steps, and the test accuracy rose by less than {100 * STILL_RISING:g} percentage points "
        "in the last epoch",
        stalled,
        "wrong",
    ),
    "unclear": Rule(
        "too little measured",
        f"the training accuracy (or, if it was not logged, the test accuracy) is below "
        f"{percent(LEARNED)}, and too few training losses were logged to compare the third quarter of "
        "the steps with the last eighth",
        unclear,
        "open",
    ),
    "healthy": Rule("learns well", "no other result applies", healthy, "right"),
    "unfinished": Rule(
        "unfinished", "the run was interrupted or is still running", unfinished, "note"
    ),
    "exploding": Rule(
        "exploding gradients",
        f"the gradient norm of a layer is {EXPLODING_NORM:g} or more at an inspection",
        exploding,
        "note",
    ),
    "vanishing": Rule(
        "vanishing gradients",
        f"over the inspections of the first {EARLY_STEPS} steps, the geometric mean of the first "
        f"layer's gradient norm is at most 1/{1 / VANISHING_RATIO:g} of the last layer's",
        vanishing,
        "note",
    ),
    "dead": Rule(
        "dead units",
        f"at the last inspection, {percent(DEAD)} or more of the units of a hidden layer are dead; "
        f"{percent(TOO_MANY_DEAD)} or more is a problem",
        dead,
        "note",
    ),
    "saturated": Rule(
        "saturation",
        f"at the last inspection, the slope of the activation is below {SATURATED_SLOPE} at "
        f"{percent(SATURATED)} or more of the outputs of a hidden layer, and the root mean square "
        f"of its slopes is below {FLAT:g}",
        saturated,
        "note",
    ),
    "rising loss": Rule(
        "test loss rises",
        f"the last test loss is more than {percent(RISEN - 1)} above the lowest one, the network "
        "has learned, and the result is not overfitting",
        rising_loss,
        "note",
        announced=True,
    ),
}
"""Every rule by its name. The first result that applies is the result of a run."""

NOT_LEARNING = ("diverged", "failed", "not begun", "thrown off", "beginning")
"""The results of runs that have not learned to classify images, or only begin to."""
