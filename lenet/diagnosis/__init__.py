"""Explains the recorded numbers of a run in sentences, by fixed rules. May import: nothing."""

from __future__ import annotations

from dataclasses import replace

from lenet.diagnosis.record import Finding, Record, Series, options_of
from lenet.diagnosis.rules import EARLY_STEPS, RULES, has_not_begun, percent

__all__ = [
    "EARLY_STEPS",
    "RULES",
    "Finding",
    "Record",
    "Series",
    "diagnose",
    "has_not_begun",
    "options_of",
    "percent",
]


def diagnose(record: Record) -> list[Finding]:
    """All findings of the rules about one run, the most important first. There is at least one."""
    findings = []
    for name, rule in RULES.items():
        finding = rule.find(record)
        if finding is None or (rule.if_nothing_wrong and any(f.wrong for f in findings)):
            continue
        finding = replace(finding, rule=name, verdict=rule.verdict)
        if rule.is_final:
            return [finding]
        # That a network learns well comes first, before remarks about it.
        findings.insert(0 if rule.if_nothing_wrong else len(findings), finding)
    return findings
