"""Means, spreads, differences and ranks: compared with values by hand and with simulations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from experiments.report.differences import (
    Scores,
    _inverse_trigamma,
    critical_value,
    differences,
)
from experiments.report.statistics import accuracy_text, mean_and_spread, ranking
from tests.simulated_studies import STUDY, rates
from tests.simulated_studies import page as simulation_page

MANY = 10**9  # With so many test images, only the seeds matter.


def scores(*accuracies: float) -> Scores:
    return Scores(dict(enumerate(accuracies)))


def with_images(*answers: Sequence[int]) -> Scores:
    """The results with one seed for each list of answers. A correct answer is 1."""
    correct = [np.array(each, bool) for each in answers]
    return Scores({i: float(c.mean()) for i, c in enumerate(correct)}, dict(enumerate(correct)))


def ranks(*entries: Scores, test_images: int = 10_000) -> list[str]:
    """The ranks in the order of the entries."""
    ranked = ranking(range(len(entries)), lambda i: entries[i], test_images)
    return [str(rank) for rank, _ in sorted(ranked, key=lambda pair: pair[1])]


def test_mean_and_spread() -> None:
    assert mean_and_spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))
    assert mean_and_spread([1.0]) == (1.0, None)
    assert math.isnan(mean_and_spread([])[0])


def test_accuracies_are_shown_with_the_decimals_that_the_test_set_supports() -> None:
    assert accuracy_text([0.98, 0.982], test_images=10_000) == "98.10 ± 0.14 %"
    assert accuracy_text([0.98, 0.982], test_images=360) == "98.1 ± 0.1 %"
    assert accuracy_text([0.98], test_images=10_000) == "98.00 %"
    assert accuracy_text([], test_images=10_000) == "–"


def test_two_combinations_are_compared_by_the_paired_t_interval() -> None:
    """By hand: differences 0.01, 0.02 and 0.03 have the standard error 0.01 / √3, and t is 4.303."""
    found = differences([scores(0.61, 0.52, 0.43), scores(0.6, 0.5, 0.4)], MANY)
    assert found[0, 1].value == pytest.approx(0.02) == -found[1, 0].value
    assert found[0, 1].half_width == pytest.approx(4.303 * 0.01 / 3**0.5, rel=1e-3)
    assert not found[0, 1].clear


def test_seeds_are_paired() -> None:
    """The spread over seeds is ten times the difference, but both have the same spread."""
    assert differences([scores(0.61, 0.51, 0.4101), scores(0.6, 0.5, 0.4)], MANY)[0, 1].clear
    assert not differences([scores(0.51, 0.61, 0.41), scores(0.6, 0.5, 0.4)], MANY)[0, 1].clear


def test_one_seed_is_compared_by_mcnemar() -> None:
    """Of 1,000 images, only one network is correct for 30, and only the other one for 10.

    By hand, the interval is 0.02 ± 1.96 √(40 − 20² / 1,000) / 1,000.
    """
    one = [1] * 30 + [0] * 10 + [1] * 960
    other = [0] * 30 + [1] * 10 + [1] * 960
    found = differences([with_images(one), with_images(other)], 1_000)[0, 1]
    assert found.value == pytest.approx(0.02) and found.clear
    assert found.half_width == pytest.approx(1.96 * 39.6**0.5 / 1_000, rel=5e-3)


def test_without_answers_mistakes_count_as_independent() -> None:
    found = differences([scores(0.9), scores(0.8)], 1_000)[0, 1]
    assert found.half_width == pytest.approx(1.96 * ((0.09 + 0.16) / 1_000) ** 0.5, rel=5e-3)


def test_two_seeds_tell_97_from_98_percent_if_other_combinations_show_the_usual_spread() -> None:
    pair = scores(0.985, 0.987), scores(0.966, 0.970)
    others = [scores(0.987, 0.988), scores(0.978, 0.977), scores(0.958, 0.961), scores(0.3, 0.35)]
    assert differences([*pair, *others], 10_000)[0, 1].clear


def test_the_images_limit_what_many_seeds_can_show() -> None:
    """0.3 % are three images of 1,000, which are too few for a clear difference."""
    draw = np.random.default_rng(0)
    first = [0.95 + draw.normal(0, 0.0002) for _ in range(10)]
    one, other = scores(*first), scores(*[value - 0.003 for value in first])
    assert not differences([one, other], 1_000)[0, 1].clear
    assert differences([one, other], 1_000_000)[0, 1].clear


def test_ranks_are_ranges_and_ties_are_not_transitive() -> None:
    """Neighbours do not differ clearly, but the first and the last do."""
    one, two, three = scores(0.965), scores(0.96), scores(0.955)
    assert ranks(one, two, three, test_images=15_000) == ["1–2", "1–3", "2–3"]
    assert ranks(one, two, three, test_images=1_000_000) == ["1", "2", "3"]
    assert ranks(one, two, three, test_images=500) == ["1–3"] * 3


def test_entries_without_a_finished_run_have_no_rank_and_come_last() -> None:
    entries = {
        "none": scores(),
        "worse": scores(0.9),
        "best": scores(0.98),
        "as good": scores(0.98),
    }
    ranked = ranking(entries, lambda name: entries[name], 10_000)
    assert [(str(rank), name) for rank, name in ranked] == [
        ("1–2", "best"), ("1–2", "as good"), ("3", "worse"), ("–", "none"),
    ]  # fmt: skip


def test_combinations_without_a_common_seed_are_not_compared() -> None:
    one, other = Scores({0: 0.9}), Scores({1: 0.1})
    assert differences([one, other], 1_000) == {}
    assert ranks(one, other) == ["1–2", "1–2"]


def test_equal_accuracies_are_no_difference_and_no_error() -> None:
    found = differences([scores(0.1135, 0.1135)] * 3 + [scores(1.0, 1.0)] * 2, 10_000)
    assert not found[0, 1].clear and not found[3, 4].clear
    assert found[3, 0].clear


def test_the_critical_value_is_that_of_t_for_two_and_of_tukey_for_more() -> None:
    """Both values are from tables.

    For 4 degrees of freedom, t is 2.776. For 9 combinations and 16 degrees of freedom, the
    studentized range is 5.03.
    """
    assert critical_value(2, 4) == pytest.approx(2.776, abs=1e-3)
    assert critical_value(9, 16.9) == pytest.approx(5.03 / 2**0.5, abs=3e-3)


def test_the_inverse_of_trigamma() -> None:
    from scipy.special import polygamma

    for x in (0.01, 0.5, 3.0, 400.0):
        assert _inverse_trigamma(float(polygamma(1, x))) == pytest.approx(x)


def test_false_alarms_in_simulated_studies() -> None:
    """The stated rate is at most 5 %. With 150 studies, 12 % is 3.9 standard errors above it."""
    simulated = rates((0.95,) * 4, 3, studies=150, images=1_000)
    assert simulated["this report"].false_alarms <= 0.12
    assert simulated["Welch, each pair"].false_alarms > 0.12


def test_more_seeds_find_more_in_simulated_studies() -> None:
    few, many = (rates(STUDY, seeds, studies=20, images=2_000) for seeds in (2, 5))
    assert many["this report"].power > few["this report"].power
    assert few["this report"].power >= few["Welch, each pair"].power


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_table_of_the_simulation_is_what_the_program_prints(root: Path) -> None:
    assert (root / "docs" / "statistics.md").read_text() == simulation_page()
