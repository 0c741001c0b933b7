"""The diagnosis of each combination as a report shows it: sentences, plots, commands to try."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from experiments.report.data import Combination, Run
from lenet import cli, registry
from lenet.diagnosis import RULES, Finding

NO_VERDICT = "–"
PLOTS = {
    "curves": "learning curves",
    "gradients": "gradient norms",
    "activity": "saturated and dead",
}


def all_findings(combination: Combination) -> list[Finding]:
    """What was found in any run, each rule once, in the words of the first run it holds for.

    Where a rule finds something wrong in one run and worth a note in another, the former counts.
    What is wrong comes first, then what is right, then notes.
    """
    found: dict[str, Finding] = {}
    for finding in (finding for run in combination.runs for finding in run.findings):
        if finding.rule not in found or finding.wrong > found[finding.rule].wrong:
            found[finding.rule] = finding
    order = list(RULES)

    def place(finding: Finding) -> tuple[int, int]:
        kind = 0 if finding.wrong else 1 if finding.rule == "healthy" else 2
        return kind, order.index(finding.rule)

    return sorted(found.values(), key=place)


def verdicts(combination: Combination) -> list[str]:
    """What is wrong with a combination, or that nothing is, in two or three words each."""
    found = all_findings(combination)
    wrong = [finding.verdict for finding in found if finding.wrong]
    right = [finding.verdict for finding in found if finding.rule == "healthy"]
    return wrong or right or [f.verdict for f in found if f.rule == "unmeasured"] or [NO_VERDICT]


def card(combination: Combination, inside: bool) -> dict[str, Any]:
    """One combination's diagnosis for the template.

    Args:
        inside: whether the page has plots of gradients and activity for the sentences to lead to.
    """
    found, count = [], len(combination.runs)
    for finding in all_findings(combination):
        holders = [
            run
            for run in combination.runs
            if any((f.rule, f.wrong) == (finding.rule, finding.wrong) for f in run.findings)
        ]
        page_has = finding.plot == "curves" or inside
        target = f"{finding.plot}-c{combination.number}"
        found.append(
            {
                "sentence": finding.sentence,
                "seeds": "" if len(holders) == count else f"{len(holders)} of {count} seeds",
                "plot": PLOTS[finding.plot if page_has else "curves"],
                "target": f"curves-{combination.activation}"
                if finding.plot == "curves" or not page_has
                else target,
                "advice": finding.advice,
                "command": next_command(holders[0], finding) if finding.wrong else "",
            }
        )
    wrong = any(f.wrong for f in all_findings(combination))
    known = any(run.done or run.state == "diverged" for run in combination.runs)
    return {
        "combination": combination,
        "verdict": ", ".join(verdicts(combination)),
        "mood": "wrong" if wrong else "right" if known else "open",
        "findings": found,
    }


def next_command(run: Run, finding: Finding) -> str:
    """What to type to try a finding's advice."""
    words = [cli.python_command(), "-m", "lenet.train"]
    if finding.rule == "failed":
        return shlex.join([*words, "--resume", str(run.folder)])
    changes = dict(finding.changes)
    if "optimizer" in changes:
        changes["learning_rate"] = None
    if "activation" in changes and run.config.fc2_activation == run.config.activation:
        changes["fc2_activation"] = None
    name = str(run.dataset["name"])
    if run.config.data_dir is not None:
        changes["data_dir"] = Path(cli.short_path(run.config.data_dir))
    elif name in registry.KNOWN_DATASETS:
        changes["dataset"] = name
    return cli.training_command(run.config, changes, name)


def phrases(command: str) -> list[str]:
    """A command in parts to break lines between: an option stays with its value."""
    phrases: list[str] = []
    for word in command.split():
        previous = phrases[-1] if phrases else "-"
        if word.startswith("-") or " " in previous or not previous.startswith("--"):
            phrases.append(word)
        else:
            phrases[-1] = f"{previous} {word}"
    return phrases
