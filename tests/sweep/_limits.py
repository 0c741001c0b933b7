"""Measures the time and the peak memory of one call in this process."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS, MEGABYTES = 1.0, 200
STATUS, REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def within_limits(
    read: Callable[[], Any],
    name: str,
    seconds: float = SECONDS,
    megabytes: float = MEGABYTES,
    must_fail: bool = False,
) -> None:
    """Checks that a call either works or raises one clear error, within some time and memory.

    The time is that of the processor, so that other programs do not matter.

    Args:
        name: the error's message must contain it, e.g. the name of the file.
        must_fail: whether it has to raise an error.
    """
    before = _reset_peak()
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except (ValueError, OSError) as error:
        assert name in str(error), f"{name} is not named: {error}"
        assert "\n" not in str(error), f"more than one line: {error}"
    else:
        assert not must_fail, "no error"
    taken, memory = time.process_time() - started, _peak() - before
    assert taken < seconds, f"it took {taken:.2f} s"
    assert memory < megabytes, f"it took {memory:.0f} MB"


def _reset_peak() -> float:
    """Sets the peak of this process's memory to its present size, and returns it in megabytes."""
    if REFS.exists():
        REFS.write_text("5")
    return _peak()


def _peak() -> float:
    """The peak of this process's memory, in megabytes; 0 where Linux does not tell."""
    if not STATUS.exists():
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    return int(found[1]) / 1000 if found else 0.0
