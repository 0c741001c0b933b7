"""The diagnosis of each combination in a report: sentences, links to figures, commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.report.data import Combination, Run
from experiments.report.statistics import NO_VALUE
from lenet import cli, registry
from lenet.diagnosis import RULES, Finding

# The text of a link to a figure, by `Finding.plot`.
LINKS = {
    "curves": "learning curves",
    "gradients": "gradient norms",
    "activity": "saturated and dead",
}


@dataclass(frozen=True)
class Entry:
    """One finding on the card of a combination.

    Attributes:
        seeds: the number of seeds to which it applies; "" if it applies to all.
        link, target: the text of the link to the figure, and the id of that figure.
        advice, command: what to try; "" if nothing is wrong.
    """

    sentence: str
    seeds: str
    link: str
    target: str
    advice: str
    command: str


@dataclass(frozen=True)
class Card:
    """The diagnosis of one combination.

    Attributes:
        verdict: what is wrong, in a few words.
        mood: "wrong", "right", or "open" if too little was measured to decide.
    """

    combination: Combination
    verdict: str
    mood: str
    entries: Sequence[Entry]


def make_card(combination: Combination, targets: Mapping[str, str]) -> Card:
    """The diagnosis of one combination.

    Args:
        targets: the id of each figure of this combination in the page, by `Finding.plot`; there
            is always one for "curves".
    """
    findings, runs = all_findings(combination), combination.runs
    entries = []
    for finding in findings:
        kind = (finding.rule, finding.wrong)
        holders = [run for run in runs if kind in [(f.rule, f.wrong) for f in run.findings]]
        plot = finding.plot if finding.plot in targets else "curves"
        entries.append(
            Entry(
                sentence=finding.sentence,
                seeds="" if len(holders) == len(runs) else f"{len(holders)} of {len(runs)} seeds",
                link=LINKS[plot],
                target=targets[plot],
                advice=finding.advice,
                command=next_command(holders[0], finding) if finding.wrong else "",
            )
        )
    known = any(run.done or run.state == "diverged" for run in runs)
    mood = "right" if known else "open"
    if any(finding.wrong for finding in findings):
        mood = "wrong"
    return Card(combination, ", ".join(verdicts(combination)), mood, entries)


def all_findings(combination: Combination) -> list[Finding]:
    """The findings of all runs. Each rule occurs once, with the first run to which it applies.

    If a rule finds a problem in one run and only a note in another, the problem counts. Problems
    come first, then what is right, then notes.
    """
    by_rule: dict[str, Finding] = {}
    for finding in (finding for run in combination.runs for finding in run.findings):
        if finding.rule not in by_rule or finding.wrong > by_rule[finding.rule].wrong:
            by_rule[finding.rule] = finding
    rules = list(RULES)

    def order(finding: Finding) -> tuple[int, int]:
        kind = 0 if finding.wrong else 1 if finding.rule == "healthy" else 2
        return kind, rules.index(finding.rule)

    return sorted(by_rule.values(), key=order)


def verdicts(combination: Combination) -> list[str]:
    """The problems of a combination, or that there are none, each in two or three words."""
    findings = all_findings(combination)
    wrong = [finding.verdict for finding in findings if finding.wrong]
    right = [finding.verdict for finding in findings if finding.rule == "healthy"]
    unmeasured = [finding.verdict for finding in findings if finding.rule == "unmeasured"]
    return wrong or right or unmeasured or [NO_VALUE]


def rule_list() -> list[tuple[str, str]]:
    """The name of each rule and its condition, as the report lists them."""
    return [(rule.verdict, rule.question) for rule in RULES.values()]


def next_command(run: Run, finding: Finding) -> str:
    """The command that follows a finding's advice."""
    if finding.rule == "failed":
        resume = ["-m", "lenet.train", "--resume", str(run.folder)]
        return shlex.join([cli.python_command(), *resume])
    changes = dict(finding.changes)
    name = str(run.dataset["name"])
    if run.config.data_dir is not None:
        changes["data_dir"] = Path(cli.short_path(run.config.data_dir))
    elif name in registry.KNOWN_DATASETS:
        changes["dataset"] = name
    return cli.training_command(run.config, changes, name)


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
