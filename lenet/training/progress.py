"""Shows the progress of training: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from lenet.training.history import History


class Reporter:
    """Prints lines only; the base class of the live reporter.

    Args:
        quiet: print warnings only.
        stream: the stream for lines; default: standard output. Warnings go to standard error.
    """

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self._stream = stream

    def start(self, step: int, last_step: int) -> None:
        """Training begins after `step`."""

    def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
        """A compiled call has ended. The numbers are those of its last step."""

    def epoch(self, history: History, num_classes: int) -> None:
        """An epoch has ended, and its test evaluation is in the history."""

    def line(self, text: str) -> None:
        """Prints a line."""
        if not self.quiet:
            print(text, file=self._stream or sys.stdout, flush=True)

    def warn(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Training has ended."""


class LiveReporter(Reporter):
    """Shows a bar below the lines, with step, loss, accuracy, speed and time left."""

    def __init__(self) -> None:
        super().__init__()
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            transient=True,
        )

    def start(self, step: int, last_step: int) -> None:
        self._task = self._progress.add_task("", total=last_step, completed=step, numbers="")
        self._progress.start()

    def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
        numbers = (
            f"loss {loss:.4f}  accuracy {100 * accuracy:.2f} %  {images_per_second:,.0f} images/s"
        )
        self._progress.update(self._task, completed=step, numbers=numbers)

    def line(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self._progress.console.print(
            text, markup=False, highlight=False, soft_wrap=True, style="yellow"
        )

    def stop(self) -> None:
        self._progress.stop()


def make_reporter(quiet: bool) -> Reporter:
    """A live reporter on a terminal, or a plain one elsewhere and with `quiet`."""
    return LiveReporter() if Console().is_terminal and not quiet else Reporter(quiet)
