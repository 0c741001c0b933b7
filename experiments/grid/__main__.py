"""`python -m experiments.grid`: trains every combination of activation, optimizer and seed."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from experiments.combinations import VARIABLE, combine, hyperparameters
from experiments.grid import live, options, tuning
from experiments.grid.executor import Executor
from experiments.grid.run_one import STOP_FILE, Job, Outcome, finished, images
from lenet import cli
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset
from lenet.recording import runs
from lenet.registry import KNOWN_DATASETS
from lenet.training.interrupts import StopRequest, stop_on_signals
from lenet.training.runtime import cpu_model

PROG = "python -m experiments.grid"
DESCRIPTION = (
    "Trains every combination of the given activations, optimizers, seeds and other options, on "
    "the same images in the same order from the same first weights, and compares them. An option "
    "that takes several values makes a combination of each. The same command again skips what is "
    "done and goes on with what is not. Exit code 1 if a run failed; one that diverged is a result."
)
GRID = "grid.json"
FAILED = 1
SIGNAL_BASE = 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Returns:
        0 if every run is done or has diverged, which is a result; 1 if one failed; 130 or 143
        interrupted; a user's mistake ends it with 2.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        chosen = options.parse(words, PROG, DESCRIPTION)
        dataset = images(chosen.shared)
        if dataset.note:
            print(f"Note: {dataset.note}", file=sys.stderr)
        folder = (chosen.shared.logdir / chosen.name).resolve()
        planned = Grid(chosen, words, dataset, folder)
        folder.mkdir(parents=True, exist_ok=True)
    except KeyboardInterrupt:
        print("Interrupted before training began: nothing was saved.", file=sys.stderr)
        return SIGNAL_BASE + signal.SIGINT
    except (ValueError, OSError) as error:
        cli.fail(error)
    try:
        with runs.locked(folder), stop_on_signals() as stop:
            return planned.run(stop)
    except (runs.RunError, OSError) as error:
        cli.fail(error)


class Grid:
    """One grid, from its options to its outcome.

    Args:
        chosen: what was asked for.
        words: the command line's.
        folder: where it goes.

    Raises:
        ValueError: an option is out of its range, or there are too few images to tune on.
    """

    def __init__(
        self,
        chosen: options.GridOptions,
        words: Sequence[str],
        dataset: Dataset,
        folder: Path,
    ) -> None:
        self.chosen, self.words, self.dataset = chosen, list(words), dataset
        self.folder, self.stop = folder, StopRequest()
        shared = _pinned(chosen.shared, dataset)
        configs = combine(chosen.lists, shared, folder)
        self.configs = [config.resolved(dataset.name) for config in configs]
        self.held = images(self.configs[0], tuning.HELD_OUT) if chosen.tune else dataset

    def run(self, stop: StopRequest) -> int:
        """Trains what is not done yet and tells what came of it all; returns the exit code.

        Args:
            stop: where the caller, who has locked the folder, notes a signal.

        Raises:
            RunError: the folder holds other runs under the same names.
            OSError: it cannot be written, or there is no cluster to be had.
        """
        self.stop = stop
        with contextlib.ExitStack() as stack:
            (self.folder / STOP_FILE).unlink(missing_ok=True)
            stack.callback((self.folder / STOP_FILE).unlink, missing_ok=True)
            executor = Executor(self.chosen, self.stop, stack)
            configs, choice = self.configs, None
            if self.chosen.tune:
                choice = self._tune(executor)
                configs = tuning.tuned(configs, choice)
            if self.stop.signal:
                return self._interrupted()
            jobs = self._jobs(configs, self.dataset)
            _write_json(self.folder / GRID, self._describe(configs, choice))
            outcomes = self._train(executor, jobs, len(self.dataset.train), _values(configs))
        if self.stop.signal:
            return self._interrupted()
        return self._finish(configs, outcomes)

    def _jobs(
        self, configs: Sequence[TrainConfig], dataset: Dataset, held_out: float = 0.0
    ) -> list[Job]:
        stop_file = self.folder / STOP_FILE
        return [Job(config, dataset.sha256, held_out, stop_file) for config in configs]

    def _tune(self, executor: Executor) -> dict[str, Any]:
        """Sweeps learning rates on held-out training images."""
        held = self.held
        print(
            f"Tuning the learning rate on {len(held.test):,} of the training images; "
            "the test images are not looked at."
        )
        tried = tuning.candidates(self.configs, self.folder / tuning.FOLDER)
        jobs = self._jobs(tried, held, tuning.HELD_OUT)
        choice = tuning.choose(self.configs, self._train(executor, jobs, len(held.train)))
        if not self.stop.signal:
            for name, rates in choice.items():
                edge = " (the edge of what was tried)" if rates["at_edge"] else ""
                print(f"{name}: rate {rates['best']:g}{edge}")
        return choice

    def _train(
        self,
        executor: Executor,
        jobs: Sequence[Job],
        num_images: int,
        overview: dict[str, list[Any]] | None = None,
    ) -> list[Outcome]:
        """Makes the runs that are not done yet, showing how it goes.

        Args:
            num_images: training images in an epoch.
            overview: what the HParams page is told, once there is a run to show.

        Returns:
            What came of all, those done before first.
        """
        before = {job.folder.name: finished(job) for job in jobs}
        board = live.Board(jobs, num_images)
        outcomes = [outcome for outcome in before.values() if outcome is not None]
        for outcome in outcomes:
            board.end(outcome)
        todo = [job for job in jobs if before[job.folder.name] is None]
        print(f"{len(jobs)} runs in {jobs[0].config.logdir}: {len(outcomes)} done before")
        with live.watched(board) as console:
            for outcome in executor.run(todo):
                if overview:
                    executor.write_overview(self.folder, overview)
                    overview = None
                outcomes.append(outcome)
                board.end(outcome)
                live.say(console, board.line(outcome))
                if outcome.state != "failed":
                    for note in outcome.notes:
                        live.say(console, f"{outcome.name}: {note}", warning=True)
        return outcomes

    def _interrupted(self) -> int:
        print("Interrupted: every run begun keeps its checkpoints. To go on:")
        print(f"  {_command(self.words)}")
        return SIGNAL_BASE + self.stop.signal

    def _finish(self, configs: Sequence[TrainConfig], outcomes: Sequence[Outcome]) -> int:
        order = {config.run_name: place for place, config in enumerate(configs)}
        outcomes = sorted(outcomes, key=lambda outcome: order[outcome.name])
        print(f"\n{live.leader_board(outcomes)}\n")
        failed = [outcome for outcome in outcomes if outcome.state == "failed"]
        for outcome in failed:
            print(f"Failed: {outcome.name}: {' '.join(outcome.notes)}", file=sys.stderr)
        reported = self._report()
        print(f"See it all     {cli.tensorboard_command(_shortest(self.folder))}")
        return FAILED if failed or not reported else 0

    def _report(self) -> bool:
        """Writes the report; says why where that fails, since the runs are safe all the same."""
        from experiments.report import page as report

        try:
            print(f"Report         {_shortest(report.write_report(self.folder))}")
        except (ValueError, OSError) as error:
            print(f"The report could not be written: {cli.describe(error)}", file=sys.stderr)
            return False
        return True

    def _describe(
        self, configs: Sequence[TrainConfig], choice: dict[str, Any] | None
    ) -> dict[str, Any]:
        """What `grid.json` says: how this comparison was made."""
        shared = {
            name: value for name, value in configs[0].to_json().items() if name not in VARIABLE
        }
        del shared["run_name"], shared["resume"]
        return {
            "command": _command(self.words),
            "when": datetime.now().astimezone().isoformat(timespec="seconds"),
            "dataset": {"name": self.dataset.name, "sha256": self.dataset.sha256},
            "options": {**{k: list(v) for k, v in self.chosen.lists.items()}, **shared},
            "combinations": [
                {"folder": config.run_name, **{name: getattr(config, name) for name in VARIABLE}}
                for config in configs
            ],
            "tuning": choice
            and {
                "held_out": tuning.HELD_OUT,
                "seed": configs[0].seed,
                "combinations": choice,
            },
            "versions": {
                "python": platform.python_version(),
                **{
                    name: importlib.metadata.version(name)
                    for name in ("tensorflow", "keras", "numpy", "tensorboard", "distributed")
                },
            },
            "cpu_model": cpu_model(),
            "cpus": os.cpu_count(),
        }


def _pinned(shared: TrainConfig, dataset: Dataset) -> TrainConfig:
    """The options with the data set by its name, so that no worker looks for another."""
    if shared.data_dir is not None:
        return replace(shared, data_dir=shared.data_dir.resolve())
    return replace(shared, dataset=dataset.name) if dataset.name in KNOWN_DATASETS else shared


def _values(configs: Sequence[TrainConfig]) -> dict[str, list[Any]]:
    """The values of each option that occur in a grid, in order."""
    found: dict[str, dict[Any, None]] = {}
    for config in configs:
        for name, value in hyperparameters(config).items():
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items()}


def _command(words: Sequence[str]) -> str:
    return f"{cli.python_command()} -m experiments.grid {shlex.join(words)}".rstrip()


def _shortest(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _write_json(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
