"""A contestant's side of the turns: wait for a line, train one epoch, answer with what it took."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any, NoReturn

import psutil


class Gate:
    """Lets one epoch begin for each line on standard input.

    A contestant makes its gate once it has everything in memory, which prints a first line. It
    calls `wait` before each epoch, `trained` after the last update of an epoch, and `answer` once
    everything that belongs to the epoch is done.
    """

    def __init__(self) -> None:
        self._started = self._trained = 0.0
        print(json.dumps({"ready": True}), flush=True)

    def wait(self) -> None:
        """Waits for the next line; ends the process when no more will come."""
        if not sys.stdin.readline():
            raise SystemExit(0)
        self._started = time.perf_counter()

    def trained(self) -> None:
        """Notes the time of an update; the last one of the epoch counts."""
        self._trained = time.perf_counter()

    def answer(self, loss: float, images: int, **more: Any) -> None:
        """Prints one line of JSON about the epoch that has just ended.

        Args:
            loss: mean training loss of the epoch's images, in nats.
            images: how many there were.
            more: what else the contestant reports.
        """
        ended = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        values = {
            "train_seconds": self._trained - self._started,
            "epoch_seconds": ended - self._started,
            "loss": float(loss),
            "images": images,
            "memory_mb": psutil.Process().memory_info().rss / 2**20,
            "peak_mb": peak,
            **more,
        }
        print(json.dumps(values), flush=True)


def give_up(reason: str) -> NoReturn:
    """Answers, in place of an epoch, that this contestant cannot run here; ends the process."""
    print(json.dumps({"unavailable": reason}), flush=True)
    raise SystemExit(0)
