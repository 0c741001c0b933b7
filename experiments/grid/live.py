"""What a person sees of a grid: a live table on a terminal, plain lines elsewhere, and the outcome."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from experiments.combinations import without_seed
from experiments.grid.run_one import Job, Outcome
from lenet.recording import runs
from lenet.training.schedule import Schedule

TAIL_BYTES = 400
ROWS_BESIDE = 6
STYLES = {"done": "green", "diverged": "yellow", "failed": "red", "running": "bold"}


class Board:
    """Follows runs by the files they write, wherever they are made.

    Args:
        jobs: the runs to follow.
        num_images: training images in an epoch.
    """

    def __init__(self, jobs: Sequence[Job], num_images: int) -> None:
        self._followed = {job.folder.name: _Followed(job, num_images) for job in jobs}
        self._ended: dict[str, Outcome] = {}
        self._since = time.time()
        self._total = len(jobs)

    def end(self, outcome: Outcome) -> None:
        """A run has ended."""
        self._ended[outcome.name] = outcome

    @property
    def num_ended(self) -> int:
        return len(self._ended)

    def line(self, outcome: Outcome) -> str:
        """A run that has ended, as one line."""
        words = [f"[{self.num_ended}/{self._total}] {outcome.name}  {outcome.state}"]
        if outcome.skipped:
            words[0] += " before"
        if outcome.test_accuracy is not None:
            words.append(f"test accuracy {100 * outcome.test_accuracy:.2f} %")
        if outcome.seconds:
            words.append(f"{outcome.seconds:.1f} s")
        if outcome.state == "failed":
            words += outcome.notes
        return "  ".join(words)

    def __rich_console__(self, console: Console, options: object) -> Iterator[Table]:
        table = Table(box=None, pad_edge=False)
        table.add_column("run", no_wrap=True)
        for column in ("state", "epoch", "test accuracy", "images/s", "time left"):
            table.add_column(column, justify="right", no_wrap=True)
        for cells in self._rows(max(4, console.height - ROWS_BESIDE)):
            table.add_row(*map(escape, cells[:1]), _styled(cells[1]), *cells[2:])
        yield table

    def _rows(self, height: int) -> list[tuple[str, str, str, str, str, str]]:
        """As many rows as fit: first those under way, then the last that ended, then the next."""
        running, waiting = [], []
        for name, followed in self._followed.items():
            if name not in self._ended:
                cells = followed.cells(self._since)
                (running if cells else waiting).append(cells or (name, "waiting", "", "", "", ""))
        ended = [_ended_cells(outcome) for outcome in reversed(self._ended.values())]
        rows = [*running, *ended[: height // 2], *waiting, *ended[height // 2 :]]
        if len(rows) > height:
            left_out = len(rows) - height
            more = f"… {left_out} more; {len(ended)} of {self._total} have ended"
            rows = [*rows[:height], (more, "", "", "", "", "")]
        return rows


@dataclass
class _Followed:
    """One run as its files show it."""

    job: Job
    num_images: int
    first_seen: tuple[float, int] | None = None

    def cells(self, since: float) -> tuple[str, str, str, str, str, str] | None:
        """The row of a run that is under way, or None for one that is not."""
        config = self.job.config
        assert config.epochs and config.batch_size
        last = _last_point(self.job.folder / runs.METRICS, since)
        if last is None:
            return None
        step, epoch = last
        schedule = Schedule(self.num_images, config.batch_size, config.epochs, config.max_steps)
        speed, left = "", ""
        now = time.monotonic()
        if self.first_seen is None or step < self.first_seen[1]:
            self.first_seen = (now, step) if step else None
        elif step > self.first_seen[1]:
            steps_per_second = (step - self.first_seen[1]) / (now - self.first_seen[0])
            speed = f"{steps_per_second * config.batch_size:,.0f}"
            left = _duration((schedule.last_step - step) / steps_per_second)
        accuracy = runs.read_status(self.job.folder).get("test_accuracy")
        return (
            self.job.folder.name,
            "running",
            f"{epoch}/{config.epochs}",
            "" if accuracy is None else f"{100 * accuracy:.2f} %",
            speed,
            left,
        )


@contextlib.contextmanager
def watched(board: Board) -> Iterator[Console | None]:
    """Shows the board while the block runs, where there is a terminal.

    Yields:
        Where to print lines above the table, or None where there is no terminal.
    """
    console = Console()
    if not console.is_terminal:
        yield None
        return
    with Live(board, console=console, refresh_per_second=2, transient=True):
        yield console


def say(console: Console | None, text: str, warning: bool = False) -> None:
    """Prints a line, above the table if there is one."""
    if console is not None:
        style = "yellow" if warning else None
        console.print(text, markup=False, highlight=False, soft_wrap=True, style=style)
    else:
        print(text, file=sys.stderr if warning else sys.stdout, flush=True)


@dataclass(frozen=True)
class Standing:
    """One combination over its seeds.

    Attributes:
        name: of the combination.
        accuracies: test accuracy of each run that is done, from 0 to 1.
        others: how many runs ended in each other state.
    """

    name: str
    learning_rate: float
    accuracies: tuple[float, ...]
    others: dict[str, int]

    @property
    def text(self) -> str:
        """Mean ± sample standard deviation in percent; no ± for one seed."""
        if not self.accuracies:
            return "–"
        percent = [100 * accuracy for accuracy in self.accuracies]
        mean = f"{statistics.fmean(percent):.2f}"
        return f"{mean} ± {statistics.stdev(percent):.2f}" if len(percent) > 1 else mean


def standings(outcomes: Sequence[Outcome]) -> list[Standing]:
    """The leader board, best first; combinations of which nothing is done come last."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(without_seed(outcome.config), []).append(outcome)
    found = []
    for name, members in groups.items():
        states = [member.state for member in members]
        accuracies = [o.test_accuracy for o in members if o.state == "done"]
        others = {state: states.count(state) for state in sorted(set(states) - {"done"})}
        found.append(
            Standing(
                name,
                members[0].config.learning_rate or 0.0,
                tuple(accuracy for accuracy in accuracies if accuracy is not None),
                others,
            )
        )
    return sorted(found, key=lambda s: (-statistics.fmean(s.accuracies or (-1.0,)), s.name))


def leader_board(outcomes: Sequence[Outcome]) -> str:
    """The leader board as lines of text."""
    rows = standings(outcomes)
    width = max(len("combination"), *(len(row.name) for row in rows))
    head = f"{'combination':{width}}  {'rate':>8}  {'test accuracy, %':>16}  seeds"
    lines = [head]
    for row in rows:
        others = ", ".join(f"{count} {state}" for state, count in row.others.items())
        line = (
            f"{row.name:{width}}  {row.learning_rate:>8g}  {row.text:>16}  {len(row.accuracies):>5}"
        )
        lines.append(f"{line}  {others}".rstrip())
    return "\n".join(lines)


def _ended_cells(outcome: Outcome) -> tuple[str, str, str, str, str, str]:
    accuracy = outcome.test_accuracy
    return (
        outcome.name,
        outcome.state,
        "",
        "" if accuracy is None else f"{100 * accuracy:.2f} %",
        f"{outcome.images_per_second:,.0f}" if outcome.images_per_second else "",
        "",
    )


def _last_point(metrics: Path, since: float) -> tuple[int, int] | None:
    """Step and epoch of the last whole row, or None where nothing was written since a time."""
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


def _styled(state: str) -> str:
    style = STYLES.get(state)
    return f"[{style}]{state}[/]" if style else state


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
