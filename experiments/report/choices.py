"""Which activation and which other choice is the best, in sentences, from the clear differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.report.data import Combination, Comparison
from lenet.option_checks import join

OPTIONS = ("activation", "variant")  # Attributes of a combination.


@dataclass(frozen=True)
class Choice:
    """One choice, e.g. the activation, while everything else is the same.

    Attributes:
        fixed: what is the same, e.g. "sgd".
        best: the option with the highest mean test accuracy.
        tied: the options that are not clearly worse.
        worse: the options that are clearly worse.
    """

    fixed: str
    best: str
    tied: Sequence[str]
    worse: Sequence[str]

    @property
    def sentence(self) -> str:
        """The result in words."""
        if not self.tied:
            return f"With {self.fixed}, {self.best} is clearly better than {join(self.worse)}."
        text = (
            f"With {self.fixed}, {self.best} has the highest mean test accuracy, and "
            f"{join(self.tied)} {'is' if len(self.tied) == 1 else 'are'} not clearly worse."
        )
        if self.worse:
            text += f" Clearly worse: {join(self.worse)}."
        return text


def choices(comparison: Comparison, option: str) -> list[Choice]:
    """The result of one choice, for each combination of the others.

    Args:
        option: one of OPTIONS, the attribute of a combination that is chosen.
    """
    other = "variant" if option == "activation" else "activation"
    groups: dict[str, list[Combination]] = {}
    for rank, combination in comparison.ranked:
        if rank.first is not None:
            groups.setdefault(str(getattr(combination, other)), []).append(combination)
    order = list(dict.fromkeys(str(getattr(c, other)) for c in comparison.combinations))
    found = []
    for fixed in order:
        if len(groups.get(fixed, [])) < 2:
            continue
        best, *rest = groups[fixed]
        worse = []
        for each in rest:
            difference = comparison.difference(best, each)
            if difference is not None and difference.clear:
                worse.append(str(getattr(each, option)))
        tied = [name for each in rest if (name := str(getattr(each, option))) not in worse]
        found.append(Choice(fixed, str(getattr(best, option)), tied, worse))
    return found


def overall(comparison: Comparison, option: str, others: str) -> str:
    """Which options are always the best or not clearly worse, in one or two sentences; or "".

    Args:
        option: see `choices`.
        others: the name of what is the same, e.g. "optimizer".
    """
    found = choices(comparison, option)
    if len(found) < 2:
        return found[0].sentence if found else ""
    leading = [{choice.best, *choice.tied} for choice in found]
    names = list(dict.fromkeys(str(getattr(c, option)) for c in comparison.combinations))
    always = [name for name in names if all(name in group for group in leading)]
    never = [name for name in names if all(name in choice.worse for choice in found)]
    if always and len(always) == len(names):
        return f"With no {others}, there is a clear difference from the best."
    if not always:
        text = f"None is among the best with every {others}."
        return (
            f"{text} With every {others}, {join(never)} {_is(never)} clearly worse."
            if never
            else text
        )
    text = f"With every {others}, {join(always)} {_is(always)} the best or not clearly worse than the best"
    return f"{text}, and {join(never)} {_is(never)} clearly worse." if never else f"{text}."


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
