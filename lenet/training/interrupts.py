"""Turns SIGINT and SIGTERM into a request to stop; a second signal ends the process."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequest:
    """A request to stop. `signal` is the number of the signal that caused it, or 0 without one."""

    signal: int = 0


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Catches the signals while the block runs. Python allows this only in the main thread.

    Python runs the handler of a signal only after the current compiled call. The first signal
    restores the system's handling of both signals, so that a second one takes effect immediately.
    """
    request = StopRequest()

    def ask(number: int, frame: FrameType | None) -> None:
        request.signal = number
        for caught in (signal.SIGINT, signal.SIGTERM):
            signal.signal(caught, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
