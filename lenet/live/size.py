"""Fits the weights of all runs into the page: fewer recorded steps, or numbers of 16 bits.

A network with millions of weights needs so many bytes for each step that dropping steps is not
enough. Its weights are then rounded (see `rounding`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_STEPS = 2  # The first and the last one.


@dataclass(frozen=True)
class Share:
    """What the page contains of one run.

    Attributes:
        steps: the number of recorded steps.
        bits: of each weight: 32, or 16 if the weights are rounded.
    """

    steps: int
    bits: int


def encoded_bytes(count: int, bits: int = 32) -> int:
    """The size in the page of `count` numbers, as base64."""
    return -(-count * bits // 8 // 3) * 4


def share_out(weights: Sequence[int], steps: Sequence[int], room: int) -> list[Share]:
    """Decides how many steps of each run the page contains, and in how many bits.

    All runs keep their first and last step. If these do not fit, the largest networks are
    rounded to 16 bits, but none that takes less than an equal part of the room. Then the runs
    get more steps in turn while these fit. The result can be too large all the same.

    Args:
        weights: the number of weights of each run.
        steps: the number of steps that each run may have.
        room: for all runs together, in bytes.
    """
    numbers = [min(FEWEST_STEPS, most) for most in steps]
    bits = [32] * len(weights)

    def size(run: int) -> int:
        return encoded_bytes(weights[run], bits[run])

    def total() -> int:
        return sum(number * size(run) for run, number in enumerate(numbers))

    for run in sorted(range(len(weights)), key=lambda run: -weights[run]):
        if total() > room and numbers[run] * size(run) > room / len(weights):
            bits[run] = 16
    while True:
        free = room - total()
        able = [run for run, most in enumerate(steps) if numbers[run] < most and size(run) <= free]
        if not able:
            return [Share(*each) for each in zip(numbers, bits, strict=True)]
        numbers[min(able, key=lambda run: numbers[run])] += 1
