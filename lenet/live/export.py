"""Reads trained runs and describes them for the page: layers, weights, curves, test images."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lenet.analysis import attribution, insight, units
from lenet.analysis.trained import TrainedRun, load_run
from lenet.data import centring, ink, preparation
from lenet.data.datasets import Dataset
from lenet.live.effort import FULL, effort_of
from lenet.live.examples import Examples, choose_examples
from lenet.live.moments import Moments, Weights
from lenet.live.rounding import effect_of_rounding
from lenet.live.size import Share, encoded_bytes, share_out
from lenet.networks.classifier import Classifier
from lenet.recording import metrics
from lenet.recording import runs as run_files

CURVE_POINTS = 240  # A curve on the page has at most this many points.
# The size of the page without weights and images, in bytes: for all runs, and for each of them.
TEXT_BYTES, RUN_BYTES = 220_000, 15_000


@dataclass(frozen=True)
class Content:
    """Everything that the page contains.

    Attributes:
        description: JSON values; see the functions of this module.
        weights: the weights of each run at each of its steps, and the images, as base64, by name.
        notes: what the page does not contain of the runs, and why, as sentences for the user.
    """

    description: dict[str, Any]
    weights: dict[str, str]
    notes: list[str]


def read_content(
    paths: Sequence[Path], maximum: int, megabytes: float, data_dir: Path | None = None
) -> Content:
    """Reads runs on the same images.

    Args:
        paths: the folders of the runs.
        maximum: the maximum number of steps of each run whose weights are read.
        megabytes: the maximum size of the page, in millions of bytes. See `share_out`.
        data_dir: the folder of the images, if it is not the original one.

    Raises:
        FileNotFoundError: there is no run, or its images are not there.
        ValueError: a run is damaged, or the runs were trained on different images.
    """
    runs = [load_run(path) for path in paths]
    for run in runs[1:]:
        if (run.dataset_sha256, run.image_shape) != (runs[0].dataset_sha256, runs[0].image_shape):
            raise ValueError(
                f"{run.path} was trained on different images ({run.dataset_name}) than "
                f"{runs[0].path} ({runs[0].dataset_name}). Give runs on the same images."
            )
    dataset = runs[0].load_dataset(data_dir)
    examples = choose_examples(dataset.test, runs)
    blobs = {"images": _base64(examples.images)}
    moments, labels = [Moments(run) for run in runs], labels_of(runs)
    steps = [min(maximum, len(each.steps)) for each in moments]
    fixed = len(blobs["images"]) + TEXT_BYTES + RUN_BYTES * len(runs)
    sizes = [run.model.num_parameters for run in runs]
    shares = share_out(sizes, steps, int(megabytes * 1e6) - fixed)
    described = []
    for number, (run, label, share) in enumerate(zip(runs, labels, shares, strict=True)):
        read = moments[number].read(share.steps)
        for step, weights in read.items():
            blobs[f"weights-{number}-{step}"] = pack(weights, share.bits)
        changed = effect_of_rounding(run, examples.images) if share.bits < 32 else ""
        described.append(
            _describe_run(run, label, list(read)) | {"bits": share.bits, "rounding": changed}
        )
    description = {
        "data": _describe_data(runs[0], dataset),
        "preparation": _describe_preparation(runs[0]),
        "explanation": _describe_explanation(),
        "examples": _describe_examples(examples, len(dataset.test)),
        "runs": described,
    }
    whole = sum(n * encoded_bytes(size) for n, size in zip(steps, sizes, strict=True)) + fixed
    return Content(description, blobs, _notes(described, steps, shares, whole))


def labels_of(runs: Sequence[TrainedRun]) -> list[str]:
    """A short name for each run; it contains more options if several runs have the same name."""
    short = [f"{run.config.activation} + {run.config.optimizer}" for run in runs]
    for option in ("model", "learning_rate", "seed"):
        if len(set(short)) == len(short):
            break
        values = [getattr(run.config, option) for run in runs]
        if len(set(values)) > 1:
            word = "" if option == "model" else f"{option.replace('_', ' ')} "
            short = [f"{name}, {word}{value}" for name, value in zip(short, values, strict=True)]
    if len(set(short)) < len(short):
        short = [f"{name} ({run.path.name})" for name, run in zip(short, runs, strict=True)]
    return short


def _notes(
    described: Sequence[Mapping[str, Any]],
    steps: Sequence[int],
    shares: Sequence[Share],
    whole: int,
) -> list[str]:
    """What is missing in the page, for the user. `whole` is the size of a complete page."""
    notes = [f"{run['label']}: {run['rounding']}" for run in described if run["rounding"]]
    kept = [f"{share.steps} instead of {most}" for share, most in zip(shares, steps, strict=True)]
    if any(share.steps < most for share, most in zip(shares, steps, strict=True)):
        names = [f"{words} for {run['label']}" for words, run in zip(kept, described, strict=True)]
        words = f"{kept[0]} for each run" if len(set(kept)) == 1 else "; ".join(names)
        notes.append(f"To keep the page small, it contains fewer recorded steps: {words}.")
    if notes:
        notes.append(f"--max-size {math.ceil(whole / 1e6)} keeps everything.")
    return notes


def pack(weights: Weights, bits: int = 32) -> str:
    """All kernels and biases of a network in one row of little-endian floats, as base64."""
    flat = [array.ravel() for pair in weights.values() for array in pair]
    return _base64(np.concatenate(flat).astype(f"<f{bits // 8}"))


def describe_layers(model: Classifier) -> list[dict[str, Any]]:
    """The layers of a network in order, as the page's forward pass needs them.

    Dropout is left out, because it has no effect after training.
    """
    described: list[dict[str, Any]] = []
    for layer in model.stacked:
        entry: dict[str, Any] = {"name": layer.name}
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            act = model.act.get(layer.name)
            entry["shape"] = list(np.shape(layer.kernel))
            entry["activation"] = act.name.removeprefix(f"{layer.name}_") if act else None
        if isinstance(layer, keras.layers.Conv2D):
            entry |= {"kind": "conv", "padding": layer.padding}
        elif isinstance(layer, keras.layers.Dense):
            entry |= {"kind": "dense"}
        elif isinstance(layer, keras.layers.MaxPool2D):
            entry |= {"kind": "pool", "size": layer.pool_size[0]}
        else:
            continue
        described.append(entry)
    return described


def _describe_run(run: TrainedRun, label: str, steps: list[int]) -> dict[str, Any]:
    config = run.config
    return {
        "label": label,
        "folder": run.path.resolve().name,
        "model": config.model,
        "activation": config.activation,
        "optimizer": config.optimizer,
        "parameters": run.model.num_parameters,
        "facts": f"{config.model}, {run.model.num_parameters:,} parameters, learning rate "
        f"{config.learning_rate:g}, batch size {config.batch_size}, seed {config.seed}",
        "layers": describe_layers(run.model),
        "effort": effort_of(run.model, run.image_shape),
        "steps": steps,
        "curves": read_curves(run.path),
    }


def read_curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """The accuracy of a run over its steps, from `metrics.csv`.

    Returns:
        "train": a running mean over the training batches, with few points; "test": every
        evaluation. Each point is a step and an accuracy from 0 to 1. Damaged rows are left out.
    """
    points: dict[str, list[tuple[int, float]]] = {"train": [], "test": []}
    file = path / run_files.METRICS
    for step, _, split, _, accuracy in metrics.read(file)[0] if file.is_file() else []:
        if split in points and math.isfinite(accuracy):
            points[split].append((step, accuracy))
    width = max(1, -(-len(points["train"]) // CURVE_POINTS))
    return {"train": list(_means(points["train"], width)), "test": points["test"]}


def _means(points: list[tuple[int, float]], width: int) -> Iterable[tuple[int, float]]:
    """The mean accuracy of each `width` points, at the last of their steps."""
    for start in range(0, len(points), width):
        part = points[start : start + width]
        yield part[-1][0], round(sum(value for _, value in part) / len(part), 4)


def _describe_data(run: TrainedRun, dataset: Dataset) -> dict[str, Any]:
    mean = None if run.model.mean is None else np.asarray(run.model.mean).tolist()
    return {
        "name": run.dataset_name,
        "classes": list(run.class_names),
        "shape": list(run.image_shape),
        "mean": mean,
        "train": len(dataset.train),
        "caution": preparation.few_images(dataset.description),
    }


def _describe_preparation(run: TrainedRun) -> dict[str, Any]:
    """How `lenet.explain` prepares a picture: its choices for these images, and its constants."""
    fashion = run.dataset_name == "fashion_mnist"
    return {
        "drawing": run.image_shape[2] == 1 and not fashion,
        "sizeIsPhoto": run.dataset_name != "mnist",
        "box": preparation.BOX_SHARES.get(run.dataset_name, preparation.MNIST_BOX),
        "resize": run.config.resize,
        "onBlack": fashion,
        "constants": _constants(vars(preparation))
        | _constants(vars(ink))
        | _constants(vars(centring)),
    }


def _describe_explanation() -> dict[str, Any]:
    """The constants of the methods that explain a network, by the module that explains them."""
    modules = {"attribution": attribution, "insight": insight, "units": units}
    constants = {name: _constants(vars(module)) for name, module in modules.items()}
    return constants | {"full": FULL}


def _constants(names: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers and messages among a module's names."""
    return {
        name: value
        for name, value in names.items()
        if name.isupper() and isinstance(value, (int, float, str, tuple))
    }


def _describe_examples(examples: Examples, total: int) -> dict[str, Any]:
    return {
        "labels": examples.labels.tolist(),
        "numbers": examples.numbers.tolist(),
        "sample": examples.sample,
        "total": total,
        "mistakes": examples.mistakes.tolist(),
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
