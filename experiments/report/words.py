"""What a report says of a comparison as a whole: question, answers, facts, fairness, notes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report.board import accuracy_shown, epochs_to, ranked
from experiments.report.data import TARGETS, TUNING, Comparison, varied_options
from experiments.report.diagnosis import all_findings
from experiments.report.results import same_start
from lenet import registry


def question(comparison: Comparison) -> str:
    """What the runs of this folder can answer."""
    model = {"lenet": "LeNet"}.get(comparison.runs[0].config.model, comparison.runs[0].config.model)
    name = _dataset_title(comparison)
    several = []
    if len(comparison.activations) > 1:
        several.append("which activation")
    if len({run.config.optimizer for run in comparison.runs}) > 1:
        several.append("which optimizer")
    varied = varied_options([run.config for run in comparison.runs])
    several += [f"which {option.replace('_', ' ')}" for option in varied]
    if not several:
        return f"How does {model} learn {name} with {comparison.combinations[0].label}?"
    words = " and ".join([", ".join(several[:-1]), several[-1]] if several[1:] else several)
    return f"With {words} does {model} learn {name} best, how fast, and why?"


def answers(comparison: Comparison) -> list[tuple[str, str]]:
    """The outcome in a few sentences, before all numbers: what about, and what."""
    finished = [(rank, c) for rank, c in ranked(comparison) if rank.number is not None]
    if not finished:
        return [("", "No run has finished yet: there is nothing to rank.")]
    best = finished[0][1]
    record = best.done[0].record
    share = accuracy_shown(best)
    after = record.epochs(record.step)
    label = "Best" if len(finished) > 1 else "Outcome"
    said = [(label, f"{best.label}, {share} of the test images right after {after}.")]
    tied = [c.label for rank, c in finished[1:] if rank.number == 1]
    if tied:
        few = (
            " Two tell little: a third seed narrows it down." if comparison.most_seeds == 2 else ""
        )
        count = comparison.most_seeds
        tell = f"as far as {count} seeds can tell" if count > 1 else "with the very same accuracy"
        said.append(("Tied with it", f"{join(tied)}, {tell}.{few}"))
    for threshold in reversed(TARGETS) if len(finished) > 1 else ():
        times = [(c, *epochs_to(c, threshold)) for _, c in finished]
        reached = {c.label: mean for c, mean, count in times if count == len(c.done)}
        if reached:
            least = min(reached.values())
            fastest = join([name for name, mean in reached.items() if mean == least])
            unit = "epoch" if least == 1 else "epochs"
            label = f"First at {100 * threshold:.0f} %"
            said.append((label, f"{fastest}, after {least:.3g} {unit}."))
            break
    hopeless = ("diverged", "failed", "not begun", "thrown off")
    troubled = [
        f"{combination.label} ({found[0].verdict})"
        for combination in comparison.combinations
        if (found := [f for f in all_findings(combination) if f.rule in hopeless])
    ]
    if troubled:
        said.append(("In trouble", f"{join(troubled)}."))
    return said


def facts(comparison: Comparison) -> dict[str, str]:
    """The data set, the extent, the machine and the versions."""
    dataset, every = comparison.dataset, comparison.runs
    shape = "×".join(map(str, dataset.get("image_shape", [])))
    names = [str(name) for name in dataset["class_names"]]
    listed = ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:10])}, …"
    environment = every[0].environment
    others = len({json.dumps(run.environment, sort_keys=True) for run in every}) > 1
    versions = ", ".join(
        f"{title} {environment[key]}"
        for key, title in {
            "python": "Python", "tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy",
        }.items()
        if key in environment
    )  # fmt: skip
    epochs = sorted({run.config.epochs or 0 for run in every})
    batches = sorted({run.config.batch_size or 0 for run in every})
    seeds = comparison.seeds
    found = {
        "Data set": f"{_dataset_title(comparison)}: {dataset.get('train', 0):,} training and "
        f"{dataset.get('test', 0):,} test images of {shape} pixels",
        "Classes": f"{len(names)}: {listed}",
        "Combinations": f"{len(comparison.combinations)}, "
        + (
            f"seeds {join([str(s) for s in seeds])}" if len(seeds) > 1 else f"one seed ({seeds[0]})"
        ),
        "Training": f"{join([str(e) for e in epochs])} epoch{'s' if epochs != [1] else ''}, "
        f"batches of {join([str(b) for b in batches])}",
        "Machine": f"{environment.get('cpu_model', 'unknown')}, {environment.get('cpus', '?')} CPUs"
        + (" (and others: see config.json of each run)" if others else ""),
        "Versions": versions,
        "Images' sha256": f"{str(dataset['sha256'])[:16]}…",
    }
    if when := comparison.grid.get("when"):
        found["Made"] = str(when).replace("T", " ")
    return found


def fairness(comparison: Comparison, probe_images: int) -> list[tuple[str, str]]:
    """What was held equal, and how: what about, and what.

    Args:
        probe_images: how many images every inspection looked at; 0 without inspections.
    """
    start = same_start(comparison)
    words = "for one seed, every combination starts from the same draw of weights"
    if start is True:
        words += " (checked: the kernels recorded at step 0 are the same, bit for bit)"
    if start is False:
        words = (
            "the runs of one seed did not all start from the same weights, since their models or "
            "initializers differ"
        )
    points = [("Same start:", f"{words}.")]
    batches = {run.config.batch_size for run in comparison.runs}
    words = "the seed alone decides the order of the images in every epoch"
    if len(batches) > 1:
        words += "; their number per update differs, since that is compared"
    points.append(("Same batches:", f"{words}."))
    if probe_images:
        points.append(
            (
                "Same probe images:",
                f"gradients and activations of all runs are measured on the same {probe_images} "
                "training images.",
            )
        )
    points.append(("Learning rates:", _rates(comparison)))
    points.append(
        (
            "Same test:",
            "every accuracy is over all test images, which no choice was made by.",
        )
    )
    return points


def _rates(comparison: Comparison) -> str:
    configs = [run.config for run in comparison.runs]
    if chosen := _tuned(comparison):
        best = ", ".join(f"{name} {row['best']:g}" for name, row in chosen.items())
        beyond = [name for name, row in chosen.items() if row.get("at_edge")]
        words = (
            "each combination ran at the best of several rates, chosen by its accuracy on "
            f"validation images taken from the training images, never by the test images: {best}."
        )
        if beyond:
            words += f" A better rate may lie beyond those tried for {join(beyond)}."
        return words
    used = {(config.optimizer, config.learning_rate) for config in configs}
    if all(rate == registry.OPTIMIZERS[name]["learning_rate"] for name, rate in used):
        order = [name for name in registry.OPTIMIZERS if name in {name for name, _ in used}]
        rates = ", ".join(f"{n} {registry.OPTIMIZERS[n]['learning_rate']:g}" for n in order)
        return (
            f"each optimizer ran at its default rate ({rates}); none was tuned, and another rate "
            "may change the order. To choose a rate for each, add --tune to the grid."
        )
    return "they were set by hand, as the leader board shows; another rate may change the order."


def _tuned(comparison: Comparison) -> dict[str, Mapping[str, Any]]:
    """The outcome of `--tune` by combination, as `grid.json` has it; {} without one."""
    tuning = comparison.grid.get(TUNING)
    chosen = tuning.get("combinations") if isinstance(tuning, Mapping) else None
    return {
        str(name): row
        for name, row in (chosen.items() if isinstance(chosen, Mapping) else ())
        if isinstance(row, Mapping) and isinstance(row.get("best"), (int, float))
    }


def notes(comparison: Comparison) -> list[str]:
    """What is missing, unfinished or otherwise to be kept in mind."""
    said = list(comparison.notes)
    if not comparison.grid:
        said.append(
            "This folder has no grid.json: it was not made by one grid command, and all is taken "
            "from the runs themselves."
        )
    planned = comparison.grid.get("combinations")
    names = {run.folder.name for run in comparison.runs}
    missing = [
        str(each["folder"])
        for each in (planned if isinstance(planned, list) else ())
        if isinstance(each, Mapping) and "folder" in each and each["folder"] not in names
    ]
    if missing:
        said.append(f"Not begun yet: {some(missing)}. The same command goes on with the grid.")
    unfinished = Counter(run.state for run in comparison.runs if run.state != "done")
    if unfinished:
        states = join([f"{count} {state}" for state, count in sorted(unfinished.items())])
        said.append(
            f"Of {len(comparison.runs)} runs {states}: the leader board counts finished runs alone."
        )
    without = [r.folder.name for r in comparison.runs if not r.inspection_steps()]
    if without:
        said.append(
            f"No inspections in {some(without)}: of these runs no kernels, maps or gradients can be "
            "shown."
        )
    if comparison.most_seeds == 1:
        said.append(
            "One seed only: no spread is known, and a small difference may be chance. With "
            "--seeds 0 1 2 the report tells ties from differences."
        )
    return said


def _dataset_title(comparison: Comparison) -> str:
    name = str(comparison.dataset["name"])
    known = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "digits": "the bundled digits"}
    return known.get(name, name)


def join(words: Sequence[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def some(words: Sequence[str], most: int = 4) -> str:
    """The first few of many names."""
    return join([*words[:most], f"{len(words) - most} more"] if len(words) > most else words)
