"""An error that nobody expected, raised by a function of each module that a run uses."""

from __future__ import annotations

import sys
import types
from collections import Counter
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
    'is "failed" (or "done" if its training had ended) and no longer locked, and it can be continued.'
)
SAMPLE = 1
PACKAGE = Path(lenet.__file__).parent


class Injected(Exception):
    """The error."""


def trials(folder: Path) -> Iterator[Trial]:
    """The first and a later call of a function of each module."""
    _train(_runs.fresh(folder / "logdir"))  # Some results are kept. Later runs compute less.
    _, calls = _train(_runs.fresh(folder / "logdir"))
    for module in MODULES.split():
        assert calls[module], f"training calls no function of {module}"
        for call in {1, min(4, calls[module])}:
            run = partial(_raise, folder / "logdir", module, call)
            yield Trial(f"{module}, call {call} of {calls[module]}", run)


# Of each, a run calls a function.
MODULES = """
analysis/trained.py data/datasets.py data/sampling.py files.py networks/architectures.py
networks/classifier.py networks/optimizers.py recording/checkpoints.py recording/events.py
recording/encoding.py recording/inspections.py recording/projector.py recording/recorder.py recording/runs.py
recording/summaries.py training/history.py training/inspector.py training/interrupts.py
training/learning_rates.py training/runtime.py training/schedule.py training/steps.py
training/trainer.py figures/tiles.py
"""


def _train(
    logdir: Path, module: str | None = None, call: int = 0
) -> tuple[_runs.Ended, Counter[str]]:
    """Trains, and raises an error in a call of a function of a module, from 1; None: in none.

    Returns:
        How the program ended, and the number of calls of functions of each module until then.
    """
    calls: Counter[str] = Counter()
    modules = {str(PACKAGE / name): name for name in MODULES.split()}

    def trace(frame: types.FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename in modules and code.co_name != "<module>":
            name = modules[code.co_filename]
            calls[name] += 1
            if name == module and calls[name] == call:
                sys.settrace(None)
                raise Injected(f"in {code.co_name}")

    sys.settrace(trace)
    try:
        ended = _runs.start(logdir)
    finally:
        sys.settrace(None)
    return ended, calls


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
        status = runs.read_status(run)
        ended_before = status["state"] == "done" and status["step"] == _runs.LAST_STEP
        assert status["state"] == "failed" or ended_before, status
        assert _runs.resume(run).code == 0
    _runs.check_complete(run)
