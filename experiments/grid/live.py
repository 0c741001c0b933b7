"""Shows the progress of a grid: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments.grid.jobs import Job, Outcome
from experiments.report.statistics import accuracy_text
from lenet.data.datasets import Dataset
from lenet.recording import runs
from lenet.training.schedule import Schedule

TAIL_BYTES = 400
LINES_AROUND = 6
STYLES = {"done": "green", "diverged": "yellow", "failed": "red", "running": "bold"}


class Row(NamedTuple):
    """The text of one row of the table."""

    run: str
    state: str = ""
    epoch: str = ""
    accuracy: str = ""
    images_per_second: str = ""
    time_left: str = ""


class LiveTable:
    """Follows runs by the files that they write, also if they run on different machines.

    Args:
        jobs: the runs to follow.
        dataset: the training and test images of these runs.
    """

    def __init__(self, jobs: Sequence[Job], dataset: Dataset) -> None:
        self._followed = {job.folder.name: _FollowedRun(job, dataset) for job in jobs}
        self._ended: dict[str, Outcome] = {}
        self._since = time.time()
        self._test_images = len(dataset.test)
        tuning = any(job.held_out for job in jobs)
        self._accuracy = "validation accuracy" if tuning else "test accuracy"

    def end(self, outcome: Outcome) -> None:
        """Notes that a run has ended."""
        self._ended[outcome.name] = outcome

    def line(self, outcome: Outcome) -> str:
        """One line about a run that has ended."""
        earlier = " before" if outcome.skipped else ""
        parts = [
            f"[{len(self._ended)}/{len(self._followed)}] {outcome.name}",
            f"{outcome.state}{earlier}",
        ]
        if outcome.test_accuracy is not None:
            parts.append(
                f"{self._accuracy} {accuracy_text([outcome.test_accuracy], self._test_images)}"
            )
        if outcome.seconds:
            parts.append(f"{outcome.seconds:.1f} s")
        if outcome.state == "failed":
            parts += outcome.notes
        return "  ".join(parts)

    def __rich_console__(self, console: Console, options: object) -> Iterator[Table]:
        table = Table(box=None, pad_edge=False)
        table.add_column("run", no_wrap=True)
        for heading in ("state", "epoch", self._accuracy, "images/s", "time left"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self._rows(max(4, console.height - LINES_AROUND)):
            # Text, not markup, because `say` turns markup off for its line and the table below it.
            state = Text(row.state, STYLES.get(row.state, ""))
            table.add_row(Text(row.run), state, *row[2:])
        yield table

    def _rows(self, height: int) -> list[Row]:
        """As many rows as fit: current runs, then runs that just ended, then waiting runs."""
        running, waiting = [], []
        for name, followed in self._followed.items():
            if name not in self._ended:
                row = followed.row(self._since)
                (running if row else waiting).append(row or Row(name, "waiting"))
        ended = [self._ended_row(outcome) for outcome in reversed(self._ended.values())]
        rows = [*running, *ended[: height // 2], *waiting, *ended[height // 2 :]]
        if len(rows) > height:
            hidden = len(rows) - height
            more = f"… {hidden} more; {len(ended)} of {len(self._followed)} have ended"
            rows = [*rows[:height], Row(more)]
        return rows

    def _ended_row(self, outcome: Outcome) -> Row:
        accuracy, speed = outcome.test_accuracy, outcome.images_per_second
        return Row(
            outcome.name,
            outcome.state,
            accuracy="" if accuracy is None else accuracy_text([accuracy], self._test_images),
            images_per_second=f"{speed:,.0f}" if speed else "",
        )


@dataclass
class _FollowedRun:
    """The progress of one run, read from its files.

    Attributes:
        first_seen: the time at which the first row of this session was read, and its step.
    """

    job: Job
    dataset: Dataset
    first_seen: tuple[float, int] | None = None

    def row(self, since: float) -> Row | None:
        """The row of a run that is running, or None if it is not."""
        config = self.job.config
        assert config.epochs and config.batch_size
        last = last_point(self.job.folder / runs.METRICS, since)
        if last is None:
            return None
        step, epoch = last
        steps_per_second = self._speed(step)
        speed, left = "", ""
        if steps_per_second:
            schedule = Schedule(
                len(self.dataset.train), config.batch_size, config.epochs, config.max_steps
            )
            speed = f"{steps_per_second * config.batch_size:,.0f}"
            left = _duration((schedule.last_step - step) / steps_per_second)
        accuracy = None
        with contextlib.suppress(OSError, ValueError):
            accuracy = runs.read_status(self.job.folder).get("test_accuracy")
        return Row(
            self.job.folder.name,
            "running",
            f"{epoch}/{config.epochs}",
            "" if accuracy is None else accuracy_text([accuracy], len(self.dataset.test)),
            speed,
            left,
        )

    def _speed(self, step: int) -> float:
        """Steps per second since the first row was read; 0 if that is not known yet."""
        now = time.monotonic()
        if self.first_seen is None or step < self.first_seen[1]:
            self.first_seen = (now, step) if step else None
        elif step > self.first_seen[1]:
            return (step - self.first_seen[1]) / (now - self.first_seen[0])
        return 0.0


@contextlib.contextmanager
def shown(table: LiveTable) -> Iterator[Console | None]:
    """Shows the table while the block runs, if there is a terminal.

    Yields:
        The console for lines above the table, or None without a terminal.
    """
    console = Console()
    if not console.is_terminal:
        yield None
        return
    with Live(table, console=console, refresh_per_second=2, transient=True):
        yield console


def say(console: Console | None, text: str, warning: bool = False) -> None:
    """Prints a line, above the table if there is one."""
    if console is not None:
        style = "yellow" if warning else None
        console.print(text, markup=False, highlight=False, soft_wrap=True, style=style)
    else:
        print(text, file=sys.stderr if warning else sys.stdout, flush=True)


def last_point(metrics: Path, since: float = 0.0) -> tuple[int, int] | None:
    """Step and epoch of the last complete row, or None if nothing was written since `since`."""
    try:
        with metrics.open("rb") as file:
            if os.fstat(file.fileno()).st_mtime < since:
                return None
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read().decode().split("\n")[:-1]
        step, epoch = lines[-1].split(",")[:2]
        return int(step), int(epoch)
    except (OSError, ValueError, IndexError):
        return None


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
