"""Explains the recorded numbers of a run in sentences, by fixed rules. May import: nothing."""

from __future__ import annotations

from dataclasses import replace

from lenet.diagnosis.advice import given
from lenet.diagnosis.evidence import EARLY_STEPS
from lenet.diagnosis.guessing import has_not_begun, is_blocked, is_guessing
from lenet.diagnosis.measures import early_gradients
from lenet.diagnosis.record import Advice, Evidence, Finding, Record, Series, options_of
from lenet.diagnosis.results import GAP
from lenet.diagnosis.rules import NOT_LEARNING, RULES
from lenet.diagnosis.small_data import FITTED
from lenet.diagnosis.words import (
    accuracy_decimals,
    compared,
    interval_in_words,
    loss_text,
    number,
    percent,
    percent_of_size,
    wilson_interval,
)

__all__ = [
    "EARLY_STEPS",
    "FITTED",
    "GAP",
    "NOT_LEARNING",
    "RULES",
    "Advice",
    "Evidence",
    "Finding",
    "Record",
    "Series",
    "accuracy_decimals",
    "compared",
    "diagnose",
    "early_gradients",
    "given",
    "has_not_begun",
    "interval_in_words",
    "is_blocked",
    "is_guessing",
    "loss_text",
    "number",
    "options_of",
    "percent",
    "percent_of_size",
    "wilson_interval",
]


def diagnose(record: Record) -> list[Finding]:
    """The result of one run, and then all notes about it, in the order of the rules."""
    findings: list[Finding] = []
    for name, rule in RULES.items():
        if rule.is_result and findings:
            continue
        finding = rule.find(record)
        if finding is not None:
            verdict = finding.verdict or rule.verdict
            findings.append(replace(finding, rule=name, verdict=verdict))
            if name in ("failed", "unmeasured", "few updates"):
                break
    return findings
