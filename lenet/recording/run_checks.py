"""What the entries of a run's `config.json` and `status.json` must be."""

from __future__ import annotations

from typing import Any

from lenet.option_checks import Check, fits

LARGEST_IMAGE = 10_000  # Pixels, of one side.
STATES = ("running", "done", "interrupted", "diverged", "failed")
TEXT = Check("a text", lambda value: isinstance(value, str))
COUNT = Check("a whole number of at least 0", lambda value: fits(value, int) and value >= 0)
NUMBER = Check("a number of at least 0", lambda value: fits(value, float) and value >= 0)
# The entries of config.json's "dataset".
DATASET_CHECKS = {
    "name": TEXT,
    "sha256": TEXT,
    "class_names": Check(
        "at least two texts",
        lambda value: isinstance(value, list) and len(value) > 1 and all(map(TEXT.holds, value)),
    ),
    "image_shape": Check(
        "height, width and channels",
        lambda value: (
            isinstance(value, list)
            and len(value) == 3
            and all(fits(size, int) and 0 < size <= LARGEST_IMAGE for size in value)
        ),
    ),
    "train": Check(COUNT.expected, lambda value: value is None or COUNT.holds(value)),
    "validation": Check(COUNT.expected, lambda value: value is None or COUNT.holds(value)),
    "test": Check(COUNT.expected, lambda value: value is None or COUNT.holds(value)),
    "mean": Check(
        "one number for each channel",
        lambda value: value is None or (isinstance(value, list) and all(map(NUMBER.holds, value))),
    ),
}
# The entries of each layer in config.json's "network".
LAYER_CHECKS = {
    "name": TEXT,
    "kind": TEXT,
    "output": Check(
        "whole numbers of at least 0",
        lambda value: isinstance(value, list) and all(map(COUNT.holds, value)),
    ),
    "units": COUNT,
    "parameters": COUNT,
    "greatest_slope": Check(
        f"{NUMBER.expected}, or nothing", lambda value: value is None or NUMBER.holds(value)
    ),
}
NETWORK = Check(
    f"a list of layers, each with {', '.join(list(LAYER_CHECKS)[:-1])}",
    lambda value: isinstance(value, list) and all(map(_is_layer, value)),
)
# The entries of status.json.
STATUS_CHECKS = {
    "state": Check(f"one of {', '.join(STATES)}", lambda value: value in STATES),
    "step": COUNT,
    "epoch": COUNT,
    "test_loss": NUMBER,
    "test_accuracy": Check("from 0 to 1", lambda value: fits(value, float) and 0 <= value <= 1),
    "validation_loss": NUMBER,
    "validation_accuracy": NUMBER,
    "best_step": COUNT,
    "seconds": NUMBER,
    "images_per_second": NUMBER,
    "weights_sha256": TEXT,
    "error": TEXT,
}


def _is_layer(value: Any) -> bool:
    return isinstance(value, dict) and all(
        check.holds(value.get(name)) for name, check in LAYER_CHECKS.items()
    )
