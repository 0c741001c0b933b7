"""Lets contestants take turns, and compares their times as ratios within each round.

The speed of a machine changes over time, but within a round it is about the same for all
contestants. Therefore compare the ratios, not the seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

Answer = dict[str, Any]


class ContestantError(RuntimeError):
    """A contestant ended early or failed. The message contains its command."""


class Contestant:
    """A process that trains one epoch for each line on its standard input; see `gate.Gate`.

    Args:
        command: the program and its arguments.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def take_turn(self) -> Answer:
        """Lets the contestant train one epoch and waits for its answer.

        Raises:
            ContestantError: the process ended instead.
        """
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # Then `read` finds no answer and raises.
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        return self.read()

    def read(self) -> Answer:
        """Waits for the next line of the contestant. Its first line means that it is ready.

        Raises:
            ContestantError: the process ended instead.
        """
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise ContestantError(f"A contestant ended early: {_typed(self._process.args)}")
        return json.loads(answer)

    def end(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.communicate()


def in_turns(
    commands: Mapping[str, Sequence[str]], rounds: int
) -> tuple[dict[str, list[Answer]], dict[str, str]]:
    """Starts all contestants, warms them up, and lets them take turns.

    The warm-up is one epoch of each contestant. Its answer comes first. It counts for the loss
    curves, but not for the speed.

    Args:
        commands: the command that starts each contestant, by its name.
        rounds: epochs of each contestant after its warm-up.

    Returns:
        The 1 + `rounds` answers of each contestant, and the reasons why some contestants could not
        take part.

    Raises:
        ContestantError: a contestant ended early.
    """
    contestants = {name: Contestant(command) for name, command in commands.items()}
    answers: dict[str, list[Answer]] = {}
    left_out: dict[str, str] = {}
    try:
        for contestant in contestants.values():
            contestant.read()  # Wait until all have loaded, before the first one trains.
        for name in commands:
            first = contestants[name].take_turn()
            if "unavailable" in first:
                left_out[name] = first["unavailable"]
                contestants.pop(name).end()
            else:
                answers[name] = [first]
        for _ in range(rounds):
            for name, contestant in contestants.items():
                answers[name].append(contestant.take_turn())
    finally:
        for contestant in contestants.values():
            contestant.end()
    return answers, left_out


def time_command(command: Sequence[str]) -> Answer:
    """Runs a program to its end.

    Returns:
        `seconds` from the start of the process to its end, `peak_mb` (its peak memory), and
        `output` (its standard output).

    Raises:
        ContestantError: its exit code is not 0; the message ends with its standard error.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise ContestantError(
                f"A contestant failed with exit code {process.returncode}: {_typed(command)}\n"
                f"{errors.read()}"
            )
        printed = output.read()
    return {"seconds": seconds, "peak_mb": usage.ru_maxrss / 1024, "output": printed}


def compare(title: str, slower: Sequence[float], faster: Sequence[float], **more: Any) -> Answer:
    """The ratio of the times of two contestants in each round.

    Args:
        title: the contestants, e.g. "model.fit / lenet".
        slower: seconds of the first contestant (the numerator), one value per round.
        faster: seconds of the second contestant (the denominator), in the same rounds.
        more: more values to keep with the ratio, e.g. the batch size.

    Returns:
        `title`, `median`, `minimum`, `maximum`, `rounds` (all ratios), and `more`.

    Raises:
        ValueError: there are no rounds, or the numbers of rounds differ.
    """
    if len(slower) != len(faster) or not slower:
        raise ValueError(
            "Expected the same number of rounds of both contestants, at least one. "
            f"Received: {len(slower)} and {len(faster)}"
        )
    ratios = [above / below for above, below in zip(slower, faster, strict=True)]
    return {"title": title, **spread(ratios), "rounds": ratios, **more}


def spread(values: Sequence[float]) -> Answer:
    """The median, minimum and maximum of some numbers."""
    return {
        "median": statistics.median(values),
        "minimum": min(values),
        "maximum": max(values),
    }


def _typed(command: Any) -> str:
    return shlex.join(map(str, command))
