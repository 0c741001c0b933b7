"""A grid from a script or a notebook, with the same options as the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from experiments.combinations import VARIABLE, as_word, plural
from experiments.grid.options import LEFT_OUT, GridOnly, parse
from lenet import refusals
from lenet.config import TrainConfig


def run_grid(name: str = "grid", **options: Any) -> list[dict[str, Any]]:
    """Trains every combination of options, as `python -m experiments.grid`, and writes its report.

        from experiments.grid import run_grid

        if __name__ == "__main__":
            rows = run_grid("study", activations=["relu", "tanh"], seeds=[0, 1], epochs=5)
            print([(row["run"], row["test_accuracy"]) for row in rows])

    In a script, the call must be below `if __name__ == "__main__":`, because the processes that train
    import the script too. With `workers=0` everything runs in this process.

    Args:
        name: the grid's folder inside `logdir`. The same call with the same name continues it.
        options: the options of the command, with underscores: `data_dir="photos"`,
            `seeds=[0, 1]`, `tune=True`.

    Returns:
        One row per run, as in the grid's `results.json`: "run", "state", "test_accuracy", ….

    Raises:
        ValueError: an option does not exist or has an invalid value, or the images are not valid.
        FileNotFoundError: the images are missing.
        RunError: another process uses the folder, or it contains different runs.
        RuntimeError: a run failed. The message names the folder; finished runs are kept.
        KeyboardInterrupt: the grid was interrupted. The same call continues it.
    """
    from experiments.grid.grid import Grid  # The module of the worker processes stays light.

    arguments = _as_arguments({"name": name, **options})
    try:
        chosen = parse(arguments, "run_grid", "")
    except SystemExit:  # The reason is printed already.
        raise ValueError(f"Expected the options of the grid. Received: {options}") from None
    grid = Grid(chosen, arguments)
    successful, signal_number = grid.run()
    if signal_number:
        raise KeyboardInterrupt
    if not successful:
        raise RuntimeError(f"A run in {grid.folder} failed. Its error.txt contains the reason.")
    return json.loads((grid.folder / "results.json").read_text())


def _as_arguments(options: Mapping[str, Any]) -> list[str]:
    """The options as they are typed after the command."""
    known = {option.name for option in (*fields(TrainConfig), *fields(GridOnly))}
    known |= {plural(name) for name in VARIABLE}
    arguments = []
    for name, value in options.items():
        if name not in known - set(LEFT_OUT):
            raise ValueError(f"A grid has no option {name!r}{refusals.did_you_mean(name, known)}")
        word = name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            arguments.append(f"--{word}" if value else f"--no-{word}")
            continue
        several = value if isinstance(value, list | tuple) else (value,)
        arguments.append(f"--{word}")
        arguments += [str(each) if isinstance(each, float) else as_word(each) for each in several]
    return arguments
