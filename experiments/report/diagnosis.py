"""The diagnosis of each combination in a report: a card with sentences, links and advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.report.advice import Suggestion, suggestions
from experiments.report.contrasts import contrasts
from experiments.report.data import Combination, Comparison, Run, seed_list
from experiments.report.statistics import NO_VALUE
from lenet.diagnosis import RULES, Finding, given

# The text of a link to a figure, by `Finding.plot`.
LINKS = {
    "curves": "learning curves",
    "gradients": "gradient norms",
    "activity": "saturated and dead",
    "slope": "slopes",
    "distance_moved": "distance moved",
    "update_ratio": "update ratios",
}
# From the worst to the best. If the seeds differ, a card has the worst.
MOODS = ("wrong", "underway", "open", "right")
# With these results, the other runs of the study show why.
CONTRASTED = ("not begun", "beginning", "slow", "stalled")
# With these results, another learning rate may help.
TUNABLE = ("diverged", "not begun", "thrown off", "beginning", "slow", "stalled")


@dataclass(frozen=True)
class Found:
    """A finding, the run that it describes, and all runs with the same finding."""

    finding: Finding
    run: Run
    holders: Sequence[Run]


@dataclass(frozen=True)
class Line:
    """A sentence with the link to the figure that shows its numbers.

    Attributes:
        link, target: the text of the link, and the id of the figure.
    """

    sentence: str
    link: str
    target: str


@dataclass(frozen=True)
class Entry:
    """One finding on a card.

    Attributes:
        line: the finding.
        seeds: the seeds to which it applies, if these are not all seeds, and the seed with these
            numbers, if this is not the first one of the study; otherwise "".
        why: its explanation, step by step.
        numbers_of: the seed with the numbers of `why`, if this is not the first one of the study;
            otherwise "".
        is_note: whether it is a remark, not the result.
    """

    line: Line
    seeds: str
    why: Sequence[Line]
    numbers_of: str
    is_note: bool


@dataclass(frozen=True)
class Card:
    """The diagnosis of one combination.

    Attributes:
        mood: "wrong", "underway", "right", or "open" if too little was measured to decide.
        verdict: the result in a few words.
        notes: other things found, each in a few words.
        accuracies: the test accuracy of every seed, or "" with one seed.
    """

    combination: Combination
    mood: str
    verdict: str
    notes: Sequence[str]
    accuracies: str
    entries: Sequence[Entry]
    suggestions: Sequence[Suggestion]


def make_card(
    comparison: Comparison, combination: Combination, targets: Mapping[int, Mapping[str, str]]
) -> Card:
    """The diagnosis of one combination.

    Args:
        targets: the id of each figure in the page, by the number of its combination and then by
            `Finding.plot`; there is always one for "curves".
    """
    found = all_findings(combination)

    def line(sentence: str, plot: str, shown: Combination = combination) -> Line:
        own = targets[shown.number]
        plot = plot if plot in own else "curves"
        return Line(sentence, LINKS[plot], own[plot])

    entries, contrasted = [], False
    for f in found:
        why = [line(step.sentence, step.plot) for step in f.finding.evidence]
        if f.finding.rule in CONTRASTED and not contrasted:  # Once is enough.
            others = contrasts(comparison, combination, f.run)
            why += [line(each.sentence, each.plot, each.other) for each in others]
            contrasted = True
        is_note = not RULES[f.finding.rule].is_result
        told = line(f.finding.sentence, f.finding.plot)
        first = f.run.config.seed == comparison.seeds[0]
        numbers_of = "" if first else f"seed {f.run.config.seed}"
        seeds = _seeds(f, combination, comparison)
        entries.append(Entry(told, seeds, why, numbers_of, is_note))
    wrong = [f for f in found if f.finding.wrong]
    return Card(
        combination,
        mood(combination),
        ", ".join(results(combination)),
        notes(combination),
        _accuracies(combination),
        entries,
        suggestions(
            comparison,
            wrong[0].run if wrong else combination.shown,
            given(*(piece for f in wrong for piece in f.finding.advice)),
            any(f.finding.rule in TUNABLE for f in wrong),
        ),
    )


def all_findings(combination: Combination) -> list[Found]:
    """The findings of all runs in the order of the rules. Each rule occurs once.

    Its numbers are those of the run whose kernels and maps the page shows or, if the rule did not
    find anything there, of the first run in which it did. A problem counts more than a note.
    """
    shown = combination.shown
    runs = [shown, *(run for run in combination.runs if run is not shown)]
    by_rule: dict[str, list[tuple[Finding, Run]]] = {}
    for run in runs:
        for finding in run.findings:
            by_rule.setdefault(finding.rule, []).append((finding, run))
    found = []
    for rule in RULES:
        if pairs := by_rule.get(rule):
            finding, run = max(pairs, key=lambda pair: pair[0].wrong)
            found.append(Found(finding, run, [holder for _, holder in pairs]))
    return found


def mood(combination: Combination) -> str:
    """The worst mood of the results of all seeds."""
    return min(
        (RULES[f.rule].mood for run in combination.runs for f in run.findings[:1]),
        key=MOODS.index,
    )


def results(combination: Combination) -> list[str]:
    """The results of a combination, each in a few words, with its seeds if they differ."""
    found = [f for f in all_findings(combination) if RULES[f.finding.rule].is_result]
    if len(found) == 1:
        return [found[0].finding.verdict]
    return [f"{f.finding.verdict} ({seed_list(f.holders)})" for f in found] or [NO_VALUE]


def notes(combination: Combination) -> list[str]:
    """What else was found in a combination, each in a few words, with its seeds if not in all."""
    found = [f for f in all_findings(combination) if not RULES[f.finding.rule].is_result]
    return [
        f.finding.verdict
        + (f" ({seed_list(f.holders)})" if len(f.holders) < len(combination.runs) else "")
        for f in found
    ]


def verdicts(combination: Combination) -> str:
    """Results and notes in one line, for the leader board."""
    remarks = notes(combination)
    noted = f"; note: {', '.join(remarks)}" if remarks else ""
    return ", ".join(results(combination)) + noted


def rule_list() -> list[tuple[str, str]]:
    """The name of each rule and its condition, as the report lists them."""
    return [(rule.verdict, rule.question) for rule in RULES.values()]


def command_phrases(command: str) -> list[str]:
    """A command in parts between which a line may break. An option stays with its value."""
    phrases: list[str] = []
    for word in command.split():
        previous = phrases[-1] if phrases else "-"
        if word.startswith("-") or " " in previous or not previous.startswith("--"):
            phrases.append(word)
        else:
            phrases[-1] = f"{previous} {word}"
    return phrases


def _accuracies(combination: Combination) -> str:
    """The test accuracy of every seed, and why it is what it is if every answer is the same."""
    if len(combination.runs) == 1:
        return ""
    each = []
    for run in combination.runs:
        value = run.record.accuracy(run.test_accuracy) if run.done else run.state
        always = f', always answers "{run.record.only_answer}"' if run.record.only_answer else ""
        each.append(f"{value} (seed {run.config.seed}{always})")
    text = f"Test accuracy: {', '.join(each)}."
    if any(run.record.only_answer for run in combination.done):
        text += (
            " A network that always gives the same answer reaches the share of that class among "
            "the test images, so the spread over seeds means nothing here."
        )
    return text


def _seeds(found: Found, combination: Combination, comparison: Comparison) -> str:
    """The seeds to which a sentence applies and the seed with its numbers, if that must be said."""
    seed = found.run.config.seed
    if len(found.holders) < len(combination.runs):
        numbers = f"; the numbers are those of seed {seed}" if len(found.holders) > 1 else ""
        return f"only {seed_list(found.holders)}{numbers}"
    if len(combination.runs) == 1 or seed == comparison.seeds[0]:
        return ""
    return f"the numbers are those of seed {seed}"
