"""The answers at the top of a report, in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.report.choices import OPTIONS, name_of, overall
from experiments.report.data import TARGETS, Combination, Comparison, seed_list
from experiments.report.diagnosis import all_findings
from experiments.report.leader_board import accuracy_shown, epochs_to, ranked
from experiments.report.statistics import NO_BREAK_SPACE
from lenet.diagnosis import FITTED, GAP, NOT_LEARNING, Record, percent
from lenet.option_checks import join


def answers(comparison: Comparison) -> list[tuple[str, str]]:
    """The outcome in a few sentences, each with a label, which can be empty."""
    finished = [(rank, c) for rank, c in ranked(comparison) if rank.first is not None]
    if not finished:
        return [("", "No run has finished yet, so there is nothing to rank.")]
    best = finished[0][1]
    accuracy = accuracy_shown(best).replace(" ", NO_BREAK_SPACE)
    outcome = (
        f"{best.label}, with {_named_best(comparison, len(finished))}test accuracy of {accuracy} "
        f"after {_epochs(best)}."
    )
    results = {run.findings[0].rule for _, c in finished for run in c.done}
    if len(finished) > 1 and results <= set(NOT_LEARNING):
        outcome = f"No network has learned to classify the images. The best of them is {outcome}"
        sentences = [("Outcome", outcome)]
    else:
        sentences = [("Best" if len(finished) > 1 else "Outcome", outcome)]
        sentences += _against_the_best(comparison, [c for rank, c in finished if rank.first == 1])
        if len(finished) > 1 and (first := _first_to_target(comparison)):
            sentences.append(first)
        sentences += _choices(comparison)
    if troubled := [text for c in comparison.combinations if (text := _trouble(c))]:
        sentences.append(("In trouble", f"{'. '.join(troubled)}."))
    return sentences


def _choices(comparison: Comparison) -> list[tuple[str, str]]:
    """Which activation and which optimizer is the best, if the study compares several of both."""
    if len(comparison.activations) < 2 or len(comparison.variants) < 2:
        return []
    found = [
        (name_of(comparison, option).capitalize(), overall(comparison, option))
        for option in OPTIONS
    ]
    return [(label, text) for label, text in found if text]


def about_overfitting(comparison: Comparison) -> str:
    """How large the gap between training and test is, if no network overfits; otherwise ""."""
    if any(f.rule == "overfitting" for run in comparison.runs for f in run.findings):
        return ""  # The cards say more.
    gaps = [
        (run.record.last_train_accuracy - run.test_accuracy, c.label, run.config.seed, run.record)
        for c in comparison.combinations
        for run in c.done
        if math.isfinite(run.record.last_train_accuracy)
        and run.findings[0].rule not in NOT_LEARNING
    ]
    if not gaps:
        return ""
    gap, label, seed, record = max(gaps, key=lambda each: each[0])
    text = "No network overfits: the accuracy on the training batches of the last epoch is"
    mean = (
        "The accuracy on the training batches is a mean over the epoch. The weights improve during "
        "the epoch, so this mean can be lower than the test accuracy."
    )
    if gap < 0.00005:  # It would be shown as 0.00.
        return f"{text} never above the test accuracy. {mean}"
    seed_text = f", seed {seed}" if comparison.most_seeds > 1 else ""
    text += (
        f" at most {100 * gap:.2f} percentage points above the test accuracy ({label}{seed_text})."
    )
    return f"{text} {_why_not_overfitting(record) if gap >= GAP else mean}"


def _why_not_overfitting(record: Record) -> str:
    """Why the rules do not call a gap overfitting, although it is large enough."""
    if record.last_train_accuracy >= FITTED:
        return f"With {record.test_images:,} test images, chance alone can cause this gap."
    return "The rules do not call this overfitting yet, because this network does not fit its training images."


def _epochs(combination: Combination) -> str:
    """The epochs whose weights were tested; early stopping may keep another one with each seed."""
    records = {run.record.end: run.record for run in combination.done}
    first, last = (records[step].epochs(step) for step in (min(records), max(records)))
    return first if first == last else f"{first.split()[0]} to {last}"


def _named_best(comparison: Comparison, finished: int) -> str:
    """Why the first combination is named, in the words before "test accuracy"."""
    if finished == 1:
        return "a "
    return "the highest mean " if comparison.most_seeds > 1 else "the highest "


def _trouble(combination: Combination) -> str:
    """Why a combination did not learn, with its seeds if it learned with others; or ""."""
    for found in all_findings(combination):
        if found.finding.rule in NOT_LEARNING:
            some = len(found.holders) < len(combination.runs)
            only = f" with {seed_list(found.holders)}" if some else ""
            return f"{combination.label}{only} – {found.finding.verdict}"
    return ""


def _against_the_best(
    comparison: Comparison, first: Sequence[Combination]
) -> list[tuple[str, str]]:
    """Which combinations share the first rank with the best, which is the first, and why."""
    seeds, tied, unknown = comparison.most_seeds, [], []
    for other in first[1:]:
        known = comparison.difference(first[0], other) is not None
        (tied if known else unknown).append(other.label)
    found = []
    if tied:
        number = f"{seeds} seeds" if seeds > 1 else "one seed"
        sentence = f"{join(tied)}. With {number}, there is no clear difference from the best."
        if seeds <= 2:
            sentence += " More seeds would make the answer clearer."
        found.append(("Not clearly worse", sentence))
    if unknown:
        sentence = f"{join(unknown)}. No seed has finished with both these options and the best."
        found.append(("Not compared", sentence))
    return found


def _first_to_target(comparison: Comparison) -> tuple[str, str] | None:
    """Which combination was the first to reach the highest target with all of its seeds."""
    finished = [c for c in comparison.combinations if c.done]
    for target in reversed(TARGETS):
        times = [(c, *epochs_to(c, target)) for c in finished]
        reached = {c.label: epochs for c, epochs, runs in times if runs == len(c.done)}
        if reached:
            minimum = min(reached.values())
            fastest = join([label for label, epochs in reached.items() if epochs == minimum])
            unit = "epoch" if minimum == 1 else "epochs"
            return f"First to reach {percent(target)}", f"{fastest}, after {minimum:.3g} {unit}."
    return None
