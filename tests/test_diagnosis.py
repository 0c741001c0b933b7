"""Recorded numbers become sentences by stated rules."""

from __future__ import annotations

import math

import pytest

from lenet import diagnosis


@pytest.mark.parametrize(
    ("loss", "classes", "expected"),
    [
        (math.log(10), 10, True),
        (2.4, 10, True),
        (0.98 * math.log(10) + 1e-9, 10, True),
        (2.25, 10, False),
        (math.log(2), 2, True),
        (math.log(2), 10, False),
    ],
)
def test_a_network_no_better_than_guessing_has_not_begun(
    loss: float, classes: int, expected: bool
) -> None:
    assert diagnosis.has_not_begun(loss, classes) is expected


def test_the_sentence_gives_the_numbers_it_rests_on() -> None:
    sentence = diagnosis.not_begun_sentence(2.30115, 0.1135, 10)
    assert "has not begun to learn" in sentence
    for number in ("2.3011", "ln 10 = 2.3026", "11.35 %"):
        assert number in sentence
