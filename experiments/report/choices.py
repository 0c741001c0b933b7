"""Which activation and which other choice is the best, in sentences, from the clear differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.report.data import Combination, Comparison
from experiments.report.sentences import varied_names
from lenet.option_checks import join

OPTIONS = ("activation", "variant")  # Attributes of a combination.


@dataclass(frozen=True)
class Choice:
    """One choice, e.g. the activation, while everything else is the same.

    Attributes:
        what: the name of the choice, e.g. "activation".
        fixed: what is the same, e.g. "sgd".
        best: the options with the highest mean test accuracy; nearly always one.
        tied: the other options that are not clearly worse.
        worse: the options that are clearly worse.
        unknown: the options that have no finished seed in common with the first of the best.
        measured: what is compared, e.g. "mean test accuracy".
    """

    what: str
    fixed: str
    best: Sequence[str]
    tied: Sequence[str] = ()
    worse: Sequence[str] = ()
    unknown: Sequence[str] = ()
    measured: str = "mean test accuracy"

    @property
    def sentence(self) -> str:
        """The result in words."""
        return f"With {self.fixed}, {self._result}.{self._incomparable}"

    @property
    def _result(self) -> str:
        first, several = join(self.best), len(self.best) > 1
        if several and not self.tied and not self.worse:
            return f"there is no difference: {first} have the same {self.measured}"
        verb = "share the highest" if several else "has the highest"
        highest = f"{first} {verb} {self.measured}"
        tied = f"{join(self.tied)} {_is(self.tied)} not clearly worse"
        worse = f"{join(self.worse)} {_is(self.worse)} clearly worse"
        if not self.worse:
            return f"there is no clear difference: {highest}, and {tied}" if self.tied else highest
        if not self.tied:
            better = f"{first} {_is(self.best)} clearly better than {join(self.worse)}"
            return f"the {self.what} matters: {better}"
        return f"the {self.what} matters: {highest}, {tied}, and {worse}"

    @property
    def _incomparable(self) -> str:
        if not self.unknown:
            return ""
        return (
            f" {join(self.unknown)} cannot be compared with {self.best[0]}, because no seed has "
            "finished with both."
        )


def name_of(comparison: Comparison, option: str) -> str:
    """The name of a choice, e.g. "activation" or "choice of optimizer and learning rate"."""
    if option == "activation":
        return option
    names = varied_names(comparison)
    if not names or len({run.config.optimizer for run in comparison.runs}) > 1:
        names.insert(0, "optimizer")
    return names[0] if len(names) == 1 else f"choice of {join(names)}"


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
        names: dict[str, list[str]] = {"best": [str(getattr(best, option))]}
        for each in rest:
            result = _compared(comparison, best, each)
            names.setdefault(result, []).append(str(getattr(each, option)))
        mean = "mean test accuracy" if comparison.most_seeds > 1 else "test accuracy"
        found.append(Choice(name_of(comparison, option), fixed, **names, measured=mean))
    return found


def _compared(comparison: Comparison, best: Combination, other: Combination) -> str:
    """The attribute of a choice to which another combination belongs."""
    difference = comparison.difference(best, other)
    if difference is None:
        return "unknown"
    if difference.clear:
        return "worse"
    return "best" if best.scores.mean == other.scores.mean else "tied"


def overall(comparison: Comparison, option: str) -> str:
    """Which options are always the best or not clearly worse, in one or two sentences; or "".

    Args:
        option: see `choices`.
    """
    others = name_of(comparison, "variant" if option == "activation" else "activation")
    found = choices(comparison, option)
    if len(found) < 2:
        return found[0].sentence if found else ""
    leading = [{*choice.best, *choice.tied} for choice in found]
    names = list(dict.fromkeys(str(getattr(c, option)) for c in comparison.combinations))
    always = [name for name in names if all(name in group for group in leading)]
    never = [name for name in names if all(name in choice.worse for choice in found)]
    if always and len(always) == len(names):
        return f"There is no clear difference, whichever {others} is used."
    if not always:
        text = f"None is among the best with every {others}."
        return (
            f"{text} With every {others}, {join(never)} {_is(never)} clearly worse."
            if never
            else text
        )
    what = (
        f"{join(always)} {'share' if len(always) > 1 else 'has'} the highest {found[0].measured}"
        if all(choice.best == always for choice in found)
        else f"{join(always)} {_is(always)} the best or not clearly worse than the best"
    )
    text = f"With every {others}, {what}"
    return f"{text}, and {join(never)} {_is(never)} clearly worse." if never else f"{text}."


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
