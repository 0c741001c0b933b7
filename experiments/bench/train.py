"""The parts `train` and `looking`: contestants that train the same network, one epoch per turn."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.bench import contestants as names
from experiments.bench.contestants import CONTESTANTS, available, command
from experiments.bench.options import Options
from experiments.bench.rounds import Answer, compare, in_turns

ROUNDS = 5
TRAIN = (
    names.OURS,
    names.LOGGED,
    names.FIT,
    names.BEST_FIT,
    names.LOOP,
    names.EAGER,
    names.COMPILED,
)
QUICK_TRAIN = (names.OURS, names.LOGGED, names.FIT, names.LOOP, names.EAGER)
LOOKING = (names.LOGGED, names.LOGGED_LOOP, names.LOGGED_FIT)
LOOKING_BATCH = 100  # The default of `lenet.train` on MNIST.
# How far the mean training loss of an epoch may be from the median of all contestants. They start
# from the same weights, but not all see the images in the same order.
RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 0.2, 0.01


class CurvesDiffer(Exception):
    """Some contestants do not learn as the others do, so their speeds cannot be compared."""


def measure_training(options: Options) -> Answer:
    """How long the training steps of an epoch take, for each batch size and activation."""
    result: Answer = {"measurements": [], "ratios": [], "notes": [], "refused": []}
    contestants = QUICK_TRAIN if options.quick else TRAIN
    rounds = options.rounds_of(ROUNDS, quick=2)
    for batch_size in options.batch_sizes:
        for activation in options.activations:
            settings = options.settings(
                batch_size=batch_size, activation=activation, turns=rounds + 1
            )
            answers = _measure(result, contestants, settings, rounds)
            _add_ratios(result, answers, settings.words)
        if len(options.activations) > 1:
            _compare_activations(result, options, batch_size, rounds)
    return result


def measure_looking(options: Options) -> Answer:
    """How long an epoch takes with everything that is recorded of it, its evaluation included."""
    result: Answer = {"measurements": [], "ratios": [], "notes": [], "refused": []}
    rounds = options.rounds_of(ROUNDS, quick=1)
    settings = options.settings(batch_size=LOOKING_BATCH, turns=rounds + 1)
    answers = _measure(result, LOOKING, settings, rounds)
    for name in LOOKING[1:]:
        _add_ratio(result, answers, name, names.LOGGED, "epoch_seconds", settings.words)
    return result


def check_curves(answers: Mapping[str, Sequence[Answer]]) -> None:
    """Checks that all contestants come to the same loss in each epoch.

    Raises:
        CurvesDiffer: some do not; the message says who, and by how much.
    """
    different = []
    for epoch, same in enumerate(zip(*answers.values(), strict=True), start=1):
        finite = [answer["loss"] for answer in same if math.isfinite(answer["loss"])]
        middle = statistics.median(finite or [math.nan])
        tolerance = RELATIVE_TOLERANCE * middle + ABSOLUTE_TOLERANCE
        different += [
            f"{name} has a mean training loss of {answer['loss']:.4f} in epoch {epoch} "
            f"(expected: {middle:.4f} ± {tolerance:.4f})"
            for name, answer in zip(answers, same, strict=True)
            if not abs(answer["loss"] - middle) <= tolerance  # NaN differs from everything.
        ]
    if different:
        raise CurvesDiffer("; ".join(different))


def _measure(
    result: Answer, contestants: Sequence[str], settings: Any, rounds: int
) -> dict[str, list[Answer]]:
    """Lets contestants take turns, and adds their answers to a result.

    Returns:
        The answers; none if the contestants did not come to the same loss.
    """
    print(
        f"{settings.words}: warm-up, then {rounds} {'round' if rounds == 1 else 'rounds'} of an epoch …",
        flush=True,
    )
    here, missing = available(contestants)
    answers, left_out = in_turns({name: command(name, settings) for name in here}, rounds)
    for name, reason in (missing | left_out).items():
        result["notes"].append(f"{settings.words}: {name} is left out: {reason}")
    for name, own in answers.items():
        if "choice" in own[0]:
            result["notes"].append(f"{settings.words}: {name} is fastest with {own[0]['choice']}")
        result["measurements"].append(
            {
                "contestant": name,
                "what": CONTESTANTS[name].words,
                "setting": settings.words,
                "answers": own,
            }
        )
    try:
        check_curves(answers)
    except CurvesDiffer as error:
        result["refused"].append(f"{settings.words}: {error}")
        return {}
    return answers


def _seconds(answers: Sequence[Answer], kind: str) -> list[float]:
    """The seconds of the rounds that count: all answers but the first, the warm-up's."""
    return [answer[kind] for answer in answers[1:]]


def _add_ratio(
    result: Answer,
    answers: Mapping[str, Sequence[Answer]],
    above: str,
    below: str,
    kind: str,
    setting: str,
) -> None:
    """Adds one ratio if both contestants took part."""
    if above in answers and below in answers:
        slower, faster = _seconds(answers[above], kind), _seconds(answers[below], kind)
        title = f"{above} / {below}"
        title += ", complete epochs" if kind == "epoch_seconds" else ""
        result["ratios"].append(compare(title, slower, faster, setting=setting))


def _add_ratios(result: Answer, answers: Mapping[str, Sequence[Answer]], setting: str) -> None:
    """Adds the ratios of one setting of the part `train`."""
    for peer in answers:
        if peer not in (names.OURS, names.LOGGED):
            _add_ratio(result, answers, peer, names.OURS, "train_seconds", setting)
    _add_ratio(result, answers, names.FIT, names.LOGGED, "train_seconds", setting)
    _add_ratio(result, answers, names.LOGGED, names.OURS, "epoch_seconds", setting)


def _compare_activations(result: Answer, options: Options, batch_size: int, rounds: int) -> None:
    """Compares `lenet` with itself: the first activation with each of the others."""
    first, *others = options.activations
    shared = {"batch_size": batch_size, "turns": rounds + 1}
    commands = {
        name: command(names.OURS, options.settings(activation=name, **shared))
        for name in options.activations
    }
    answers, _ = in_turns(commands, rounds)
    for other in others:
        title = f"lenet with {first} / with {other}"
        slower, faster = (_seconds(answers[name], "train_seconds") for name in (first, other))
        result["ratios"].append(
            compare(title, slower, faster, setting=f"batch {batch_size}, {other}")
        )
    result["measurements"] += [
        {
            "contestant": names.OURS,
            "what": "lenet against itself with other activations",
            "setting": f"batch {batch_size}, {name}, activations in turns",
            "answers": answers[name],
        }
        for name in options.activations
    ]
