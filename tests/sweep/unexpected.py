"""An error that nobody expected, raised by a function of each module that a run uses."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import lenet
from lenet import files
from lenet.recording import runs

from . import Trial, _runs

FAULT = "A function of a module that training uses raises an error that nobody expected"
PROMISE = (
    "One line on stderr names the error and a file with the traceback. The exit code is 1, the run "
    'is "failed" and no longer locked, and it can be continued.'
)
SAMPLE = 1
PACKAGE = Path(lenet.__file__).parent


class Injected(Exception):
    """The error."""


def trials(folder: Path) -> Iterator[Trial]:
    """The first and a later call of a function of each module."""
    for module in MODULES.split():
        calls = _count_calls(folder / "logdir", module)
        for call in {1, min(4, calls)}:
            run = partial(_raise, folder / "logdir", module, call)
            yield Trial(f"{module}, call {call} of {calls}", run)


# Of each, a run calls a function.
MODULES = """
analysis/trained.py data/datasets.py data/sampling.py files.py networks/architectures.py
networks/classifier.py networks/optimizers.py recording/checkpoints.py recording/events.py
recording/inspections.py recording/projector.py recording/recorder.py recording/runs.py
recording/summaries.py training/history.py training/inspector.py training/interrupts.py
training/learning_rates.py training/runtime.py training/schedule.py training/steps.py
training/trainer.py figures/tiles.py
"""


def _count_calls(logdir: Path, module: str) -> int:
    """How many functions of a module an undisturbed run calls."""
    calls = _train(_runs.fresh(logdir), module, 0)[1]
    assert calls > 0, module
    return calls


def _train(logdir: Path, module: str, raising: int) -> tuple[_runs.Ended, int]:
    """Trains, and raises an error in a call of a function of a module, from 1; 0: in none.

    Returns:
        How the program ended, and the number of calls.
    """
    file, calls = str(PACKAGE / module), 0

    def trace(frame: types.FrameType, event: str, argument: object) -> None:
        nonlocal calls
        code = frame.f_code
        if event == "call" and code.co_filename == file and code.co_name != "<module>":
            calls += 1
            if calls == raising:
                sys.settrace(None)
                raise Injected(f"in {code.co_name}")

    sys.settrace(trace)
    try:
        return _runs.start(logdir), calls
    finally:
        sys.settrace(None)


def _raise(logdir: Path, module: str, call: int) -> None:
    run = _runs.fresh(logdir) / _runs.RUN
    ended, _ = _train(logdir, module, call)
    assert ended.code == 1 and ended.errors.count("\n") == 1, ended
    assert ended.errors.startswith("Unexpected error: Injected: in "), ended
    details = Path(ended.errors.split("The details are in ")[1].strip().removesuffix("."))
    assert "Traceback" in details.read_text() and Path(module).name in details.read_text()
    if not (run / runs.CONFIG).exists():
        assert details.name == files.ERROR
        assert _runs.start(logdir).code == 0
    else:
        assert details == run / files.ERROR
        assert runs.read_status(run)["state"] == "failed"
        assert _runs.resume(run).code == 0
    _runs.check_complete(run)
