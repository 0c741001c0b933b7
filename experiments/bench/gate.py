"""Lets a contestant take turns: it waits for a line, trains one epoch, and prints its times."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import psutil


class Gate:
    """Starts one epoch for each line on standard input.

    A contestant creates its gate when it has everything in memory. The gate then prints a first
    line. The contestant calls `wait` before each epoch, `trained` after the last update of an
    epoch, and `answer` after everything else that belongs to the epoch.
    """

    def __init__(self) -> None:
        self._started = self._trained = 0.0
        print(json.dumps({"ready": True}), flush=True)

    def wait(self) -> None:
        """Waits for the next line; ends the process if there is none."""
        if not sys.stdin.readline():
            raise SystemExit(0)
        self._started = time.perf_counter()

    def trained(self) -> None:
        """Records the time of an update. The last one in the epoch counts."""
        self._trained = time.perf_counter()

    def answer(self, loss: float, images: int, **more: Any) -> None:
        """Prints one line of JSON about the epoch that has just ended.

        Args:
            loss: mean training loss over the images of the epoch, in nats.
            images: number of images in the epoch.
            more: more values to report.
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


def give_up(reason: str) -> None:
    """Answers that this contestant cannot run on this machine, and ends the process."""
    print(json.dumps({"unavailable": reason}), flush=True)
    raise SystemExit(0)
