"""The sentences of a report about a whole comparison: question, facts, fairness, notes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.report.advice import tuning_rows
from experiments.report.data import Comparison, Run
from experiments.report.grouping import varied_options
from experiments.report.results import same_start
from lenet.option_checks import join

MODELS = {"lenet": "LeNet", "mlp": "the MLP"}
DATASETS = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "digits": "the bundled digits"}
OPTIONS = {
    "fc2_activation": "activation of fc2",
    "init": "initializer",
    "init_stddev": "standard deviation of the initial weights",
    "init_bias": "initial bias",
    "conv_dropout": "dropout rate after pooling layers",
    "fc_dropout": "dropout rate after fully connected layers",
    "schedule": "learning rate schedule",
    "warmup_steps": "number of warm-up steps",
    "epochs": "number of epochs",
    "max_steps": "maximum number of steps",
    "augment": "augmentation",
    "clip_norm": "maximum norm of the gradient",
    "early_stopping": "patience of early stopping",
    "validation_fraction": "share of validation images",
}
VERSIONS = {"python": "Python", "tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy"}
CHANGES_START = {"model", "init", "init_stddev"}


def question(comparison: Comparison) -> str:
    """What the runs of this folder can answer."""
    model = comparison.runs[0].config.model
    model = MODELS.get(model, model)
    dataset = _dataset_title(comparison)
    compared = []
    if len(comparison.activations) > 1:
        compared.append("activation")
    if len({run.config.optimizer for run in comparison.runs}) > 1:
        compared.append("optimizer")
    compared += varied_names(comparison)
    if not compared:
        return f"How does {model} learn {dataset} with {comparison.combinations[0].label}?"
    which = join([f"which {name}" for name in compared])
    network, learns = ("", "the network") if "model" in compared else (f" for {model}", "it")
    verb = "works" if len(compared) == 1 else "work"
    return (
        f"{which.capitalize()} {verb} best{network} on {dataset}, how fast does {learns} learn, "
        "and why?"
    )


def varied_names(comparison: Comparison) -> list[str]:
    """The names of the options in which runs differ, without activation and optimizer."""
    varied = varied_options([run.config for run in comparison.runs])
    return [OPTIONS.get(name, name.replace("_", " ")) for name in varied]


def facts(comparison: Comparison) -> dict[str, str]:
    """The data set, what was trained, the machine and the versions, by name."""
    dataset, runs = comparison.dataset, comparison.runs
    shape = "×".join(map(str, dataset.get("image_shape", [])))
    classes = [str(name) for name in dataset["class_names"]]
    listed = ", ".join(classes) if len(classes) <= 12 else f"{', '.join(classes[:10])}, …"
    environment = runs[0].environment
    machines = {json.dumps(run.environment, sort_keys=True) for run in runs}
    seeds = [str(seed) for seed in comparison.seeds]
    epochs = sorted({run.config.epochs or 0 for run in runs})
    batches = sorted({run.config.batch_size or 0 for run in runs})
    table = {
        "Data set": f"{_dataset_title(comparison)}: {dataset.get('train') or 0:,} training and "
        f"{dataset.get('test') or 0:,} test images of {shape} pixels",
        **_validation(comparison),
        "Classes": f"{len(classes)}: {listed}",
        "Combinations": f"{len(comparison.combinations)}, "
        + (f"seeds {join(seeds)}" if len(seeds) > 1 else f"one seed ({seeds[0]})"),
        "Training": f"{join([str(e) for e in epochs])} epoch{'s' if epochs != [1] else ''}, "
        f"batches of {join([str(b) for b in batches])} images",
        "Machine": f"{environment.get('cpu_model', 'unknown')}, {environment.get('cpus', '?')} CPUs"
        + _gpus(runs)
        + (" (and others, see config.json of each run)" if len(machines) > 1 else ""),
        "Versions": ", ".join(
            f"{title} {environment[key]}" for key, title in VERSIONS.items() if key in environment
        ),
        "Training time": _training_time(comparison),
        "SHA-256 of the images": str(dataset["sha256"]),
    }
    if version := comparison.grid.get("repository"):
        table["Version of lenet"] = str(version)
    if when := comparison.grid.get("when"):
        table["Date"] = str(when).replace("T", " ")
    return table


def _gpus(runs: Sequence[Run]) -> str:
    """The GPUs on which runs were trained, with their models if they are known."""
    named = {run.config.device: run.environment.get("gpu_model", "") for run in runs}
    gpus = sorted(f"{name} {model}".strip() for name, model in named.items() if name[:3] == "gpu")
    return f"; trained on {join(gpus)}" if gpus else ""


def _validation(comparison: Comparison) -> dict[str, str]:
    """How many training images are for validation, and what they decide; {} if there are none."""
    held_out = [run for run in comparison.runs if run.dataset.get("validation")]
    if not held_out:
        return {}
    numbers = sorted({int(run.dataset["validation"]) for run in held_out})
    total, who = held_out[0].training_images, "All runs"
    if len(held_out) < len(comparison.runs):
        who = f"{len(held_out)} of {len(comparison.runs)} runs"
    use = ""
    if stopping := [run for run in held_out if run.config.early_stopping]:
        patience = join([str(p) for p in sorted({run.config.early_stopping for run in stopping})])
        use = (
            f" Early stopping (patience: {patience} epochs) ends a run by the validation loss and "
            "keeps the weights with the lowest."
        )
    images = join([f"{number:,}" for number in numbers])
    return {"Validation": f"{who} use {images} of the {total:,} training images.{use}"}


def _training_time(comparison: Comparison) -> str:
    """The sum over all runs, and how many were trained at a time."""
    seconds = sum(float(run.status.get("seconds") or 0) for run in comparison.runs)
    total = f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
    text = f"{total}, the sum over {len(comparison.runs)} runs"
    if workers := comparison.grid.get("workers"):
        text += (
            f"; {workers} runs were trained at a time"
            if workers > 1
            else "; one run was trained at a time"
        )
    return text


def fairness(comparison: Comparison, probe_images: int) -> list[tuple[str, str]]:
    """What was the same in all runs and what was not, each with a label.

    Args:
        probe_images: the number of images that every inspection uses; 0 without inspections.
    """
    batches = "The order of the images in each epoch depends only on the seed."
    if len({run.config.batch_size for run in comparison.runs}) > 1:
        batches += " The batch size differs, because it is part of the comparison."
    points = [("First weights", _start(comparison)), ("Batches", batches)]
    if probe_images:
        points.append(("Probe images", _probe(comparison, probe_images)))
    points.append(("Learning rates", _rates(comparison)))
    sentence = (
        "Final test accuracies are measured on the full test set, which was not used to choose "
        "any option."
    )
    points.append(("Test images", sentence))
    return points


def _probe(comparison: Comparison, images: int) -> str:
    if len({run.config.validation_fraction for run in comparison.runs}) == 1:
        return (
            f"Gradients and activations of all runs are measured on the same {images} training "
            "images."
        )
    return (
        f"Gradients and activations are measured on {images} training images. They are the same in "
        "runs with the same share of validation images, because validation images are no training "
        "images."
    )


def _start(comparison: Comparison) -> str:
    same = same_start(comparison)
    varied = varied_options([run.config for run in comparison.runs])
    if same is False or (same is None and CHANGES_START.intersection(varied)):
        return (
            "Runs with the same seed did not all start from the same weights, because their "
            "models or initializers differ."
        )
    sentence = "With the same seed, every combination starts from the same random weights"
    checked = " (checked: the kernels recorded at step 0 are identical, bit for bit)"
    return f"{sentence}{checked if same else ''}."


def _rates(comparison: Comparison) -> str:
    if chosen := tuning_rows(comparison):
        return _tuned_rates(chosen)
    configs = [run.config for run in comparison.runs]
    size = comparison.runs[0].training_images
    defaults = [replace(config, learning_rate=None).resolved(size) for config in configs]
    if all(c.learning_rate == d.learning_rate for c, d in zip(configs, defaults, strict=True)):
        rates = ", ".join(dict.fromkeys(f"{c.optimizer} {c.learning_rate:g}" for c in configs))
        return (
            f"Each optimizer used its default rate ({rates}). No rate was tuned, and different "
            "rates may change the order."
        )
    return "They were set by hand, see the leader board. Different rates may change the order."


def _tuned_rates(chosen: Mapping[str, Mapping[str, Any]]) -> str:
    sentence = (
        "Several rates were tried for each combination. They were compared on validation images "
        "taken from the training images, never on the test images."
    )
    best = {name: row["best"] for name, row in chosen.items() if row["best"] is not None}
    if best:
        rates = ", ".join(f"{name} {rate:g}" for name, rate in best.items())
        sentence += f" Each was then trained with its best rate: {rates}."
    if edges := [name for name in best if chosen[name].get("at_edge")]:
        sentence += (
            f" For {join(edges)}, the best rate was the smallest or the largest that was "
            "tried, so a better rate may be outside that range."
        )
    if stuck := [name for name in chosen if name not in best]:
        sentence += (
            f" With {join(stuck)}, the network learned nothing at any of the rates tried, so no "
            "rate was chosen, and it was trained with its default rate."
        )
    return sentence


def notes(comparison: Comparison) -> list[str]:
    """What is missing or unfinished, and what limits the answers."""
    sentences = [*comparison.notes, *(text for run in comparison.runs for text in run.problems)]
    if not comparison.grid:
        sentences.append(
            "This folder has no grid.json, so its runs do not come from a single grid command. "
            "All information on this page comes from the runs themselves."
        )
    planned = comparison.grid.get("combinations")
    names = {run.folder.name for run in comparison.runs}
    missing = [
        entry["folder"]
        for entry in (planned if isinstance(planned, list) else ())
        if isinstance(entry, Mapping)
        and isinstance(entry.get("folder"), str)
        and entry["folder"] not in names
    ]
    if missing:
        sentences.append(
            f"Not started yet: {first_few(missing)}. The same command continues the grid."
        )
    unfinished = Counter(run.state for run in comparison.runs if run.state != "done")
    if unfinished:
        states = join([f"{count} {state}" for state, count in sorted(unfinished.items())])
        sentences.append(
            f"Not all runs have finished: of {len(comparison.runs)} runs, {states}. The leader "
            "board counts only finished runs."
        )
    without = [run.folder.name for run in comparison.runs if not run.inspections]
    if without:
        sentences.append(
            f"No inspections in {first_few(without)}. This page cannot show the kernels, maps and "
            "gradients of these runs."
        )
    if comparison.most_seeds == 1:
        sentences.append(
            "There is only one seed, so the spread over seeds is unknown. The ranks and intervals "
            "take only the random choice of the test images into account. To see whether the "
            "differences depend on the seed, train with several seeds, e.g. --seeds 0 1 2."
        )
    return sentences


def _dataset_title(comparison: Comparison) -> str:
    name = str(comparison.dataset["name"])
    return DATASETS.get(name, name)


def first_few(names: Sequence[str], maximum: int = 4) -> str:
    """The first few of many names, as part of a sentence."""
    more = len(names) - maximum
    return join([*names[:maximum], f"{more} more"] if more > 0 else names)
