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
        what: the name of the choice, e.g. "activation".
        fixed: what is the same, e.g. "sgd".
        best: the option with the highest mean test accuracy.
        tied: the options that are not clearly worse.
        worse: the options that are clearly worse.
    """

    what: str
    fixed: str
    best: str
    tied: Sequence[str]
    worse: Sequence[str]

    @property
    def sentence(self) -> str:
        """The result in words."""
        if not self.tied:
            return (
                f"With {self.fixed}, the {self.what} matters: {self.best} is clearly better than "
                f"{join(self.worse)}."
            )
        tied = f"{join(self.tied)} {_is(self.tied)} not clearly worse"
        highest = f"{self.best} has the highest mean test accuracy"
        if not self.worse:
            return f"With {self.fixed}, there is no clear difference: {highest}, and {tied}."
        worse = f"{join(self.worse)} {_is(self.worse)} clearly worse"
        return f"With {self.fixed}, the {self.what} matters: {highest}, {tied}, and {worse}."


def name_of(comparison: Comparison, option: str) -> str:
    """The name of a choice: "activation", "optimizer", or what describes several other options."""
    if option == "activation":
        return option
    only = all(c.variant == c.runs[0].config.optimizer for c in comparison.combinations)
    return "optimizer" if only else "choice of the other options"


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
        found.append(
            Choice(name_of(comparison, option), fixed, str(getattr(best, option)), tied, worse)
        )
    return found


def overall(comparison: Comparison, option: str) -> str:
    """Which options are always the best or not clearly worse, in one or two sentences; or "".

    Args:
        option: see `choices`.
    """
    others = name_of(comparison, "variant" if option == "activation" else "activation")
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
