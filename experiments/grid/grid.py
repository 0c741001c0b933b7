"""A grid from its options to its results: plans the runs, trains them and writes the report."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.combinations import combine, hyperparameter_values, without_seed
from experiments.grid import live, record, tuning
from experiments.grid.executor import Executor
from experiments.grid.jobs import STOP_FILE, Job, Outcome, finished, images
from experiments.grid.options import GridOptions
from experiments.grid.terminal_board import leader_board
from experiments.report.data import TUNING
from lenet import cli
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset
from lenet.recording import runs
from lenet.registry import KNOWN_DATASETS
from lenet.training import devices
from lenet.training.interrupts import StopRequest, stop_on_signals


class Grid:
    """One grid.

    Args:
        chosen: the options that the user chose.
        arguments: the same options as the user typed them, for messages and `grid.json`.

    Raises:
        FileNotFoundError, ValueError: the images cannot be loaded, an option is out of its range
            or has no effect on one of the networks, there are too few images for tuning, or this
            computer has no such GPU.
        OSError: the grid's folder cannot be created.
    """

    def __init__(self, chosen: GridOptions, arguments: Sequence[str]) -> None:
        self.chosen = chosen
        self.command = f"{cli.python_command()} -m experiments.grid {shlex.join(arguments)}".strip()
        self.folder = (chosen.shared.logdir / chosen.name).resolve()
        self.dataset = images(chosen.shared)
        if self.dataset.note:
            print(f"Note: {self.dataset.note}", file=sys.stderr)
        self.gpus = 0 if chosen.scheduler else devices.count_for(chosen.shared.device)
        shared = _with_fixed_images(chosen.shared, self.dataset)
        shared = replace(shared, device=devices.for_workers(shared.device, self.gpus))
        configs = combine(chosen.lists, shared, self.folder)
        self.configs = [config.resolved(len(self.dataset.train)) for config in configs]
        if chosen.tune:
            self.tuning_dataset = images(self.configs[0], tuning.HELD_OUT)
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> tuple[bool, int]:
        """Trains the runs that are not finished, and prints and reports the results of all.

        Returns:
            Whether everything succeeded, and the number of the signal that interrupted the grid,
            or 0.

        Raises:
            RunError: another process uses the folder, or it contains different runs with these
                names.
            OSError: the folder cannot be written, or the cluster cannot be used.
        """
        with runs.locked(self.folder), stop_on_signals() as stop:
            configs, outcomes = self._train_all(stop)
            if stop.signal:
                print(
                    "Interrupted. All runs that have started keep their checkpoints. To continue:"
                )
                print(f"  {self.command}")
                return False, stop.signal
            return self._finish(configs, outcomes), 0

    def _train_all(self, stop: StopRequest) -> tuple[list[TrainConfig], list[Outcome]]:
        """Tunes if asked to, then trains; returns the final configs and all outcomes."""
        configs, choice = self.configs, None
        with contextlib.ExitStack() as stack:
            (self.folder / STOP_FILE).unlink(missing_ok=True)
            stack.callback((self.folder / STOP_FILE).unlink, missing_ok=True)
            executor = Executor(self.chosen, self.folder, self.gpus, stop, stack)
            if self.chosen.tune:
                choice = self._tune(executor, stop)
                configs = tuning.tuned(configs, choice)
            if stop.signal:
                return configs, []
            record.write(
                self.folder,
                self.command,
                self.dataset,
                self.chosen.lists,
                configs,
                choice,
                executor.at_a_time(len(configs)),
            )
            jobs = self._jobs(configs, self.dataset)
            overview = hyperparameter_values(configs)
            return configs, self._train(executor, jobs, self.dataset, overview)

    def _jobs(
        self, configs: Sequence[TrainConfig], dataset: Dataset, held_out: float = 0.0
    ) -> list[Job]:
        stop_file = self.folder / STOP_FILE
        return [Job(config, dataset.sha256, held_out, stop_file) for config in configs]

    def _tune(self, executor: Executor, stop: StopRequest) -> dict[str, Any]:
        """Compares several learning rates on held-out training images; see `tuning.choose`."""
        dataset = self.tuning_dataset
        print(
            f"Tuning the learning rate: {len(dataset.test):,} training images are held out for "
            "validation. The test images are not used."
        )
        folder, num_classes = self.folder / TUNING, len(dataset.class_names)

        def outcomes_of(candidates: Sequence[TrainConfig]) -> list[Outcome]:
            return self._train(executor, self._jobs(candidates, dataset, tuning.HELD_OUT), dataset)

        outcomes = outcomes_of(tuning.candidates(self.configs, folder))
        stuck = tuning.without_success(self.configs, outcomes, num_classes)
        if stuck and not stop.signal:
            names = dict.fromkeys(map(without_seed, stuck))
            print(f"No rate learned anything with {', '.join(names)}. Trying a wider range.")
            outcomes += outcomes_of(tuning.candidates(stuck, folder, tuning.WIDER_FACTORS))
        choice = tuning.choose(self.configs, outcomes, num_classes)
        if not stop.signal:
            for name, rates in choice.items():
                print(tuning.in_words(name, rates))
        return choice

    def _train(
        self,
        executor: Executor,
        jobs: Sequence[Job],
        dataset: Dataset,
        overview: dict[str, list[Any]] | None = None,
    ) -> list[Outcome]:
        """Trains the runs that are not finished, and shows the progress.

        Args:
            dataset: the images of these runs.
            overview: the values for the HParams page, which the first of the runs writes.

        Returns:
            The outcome of every run that has ended; runs that were finished before come first.
        """
        before = {job.folder.name: finished(job) for job in jobs}
        outcomes = [outcome for outcome in before.values() if outcome is not None]
        todo = [job for job in jobs if before[job.folder.name] is None]
        if todo:
            todo[0] = replace(todo[0], overview=overview)
        table = live.LiveTable(jobs, dataset)
        for outcome in outcomes:
            table.end(outcome)
        folder = cli.short_path(jobs[0].config.logdir)
        print(f"{len(jobs)} runs in {folder}, {len(outcomes)} of them already finished")
        with live.shown(table) as console:
            for outcome in executor.run(todo, partial(live.say, console, warning=True)):
                outcomes.append(outcome)
                table.end(outcome)
                live.say(console, table.line(outcome))
                if outcome.state != "failed":
                    for note in outcome.notes:
                        live.say(console, f"{outcome.name}: {note}", warning=True)
        return outcomes

    def _finish(self, configs: Sequence[TrainConfig], outcomes: Sequence[Outcome]) -> bool:
        """Prints the results and writes the report; returns whether everything succeeded."""
        position = {config.run_name: index for index, config in enumerate(configs)}
        outcomes = sorted(outcomes, key=lambda outcome: position[outcome.name])
        print(f"\n{leader_board(outcomes, len(self.dataset.test))}\n")
        failed = [outcome for outcome in outcomes if outcome.state == "failed"]
        for outcome in failed:
            print(f"Failed: {outcome.name}: {' '.join(outcome.notes)}", file=sys.stderr)
        reported = self._report()
        print(f"TensorBoard    {cli.tensorboard_command(Path(cli.short_path(self.folder)))}")
        return reported and not failed

    def _report(self) -> bool:
        """Writes the report. If that fails, prints why; the runs themselves are complete."""
        from experiments.report import page  # Importing matplotlib takes a while, so only now.

        try:
            print(f"Report         {cli.short_path(page.write_report(self.folder))}")
        except (ValueError, OSError) as error:
            print(f"The report could not be written: {cli.describe(error)}", file=sys.stderr)
            return False
        return True


def _with_fixed_images(shared: TrainConfig, dataset: Dataset) -> TrainConfig:
    """The options with the name or absolute path of the data set, so that all workers find it."""
    if shared.data_dir is not None:
        return replace(shared, data_dir=shared.data_dir.resolve())
    return replace(shared, dataset=dataset.name) if dataset.name in KNOWN_DATASETS else shared
