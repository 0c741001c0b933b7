"""The contestant `lenet`: its own Trainer, with one epoch per turn."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.bench.gate import Gate
from experiments.bench.settings import Settings
from lenet.recording import events
from lenet.training.runtime import start_tensorflow
from lenet.training.schedule import Schedule

NEVER = 10**9
# Steps between logged points, and between inspections.
LOGGING: dict[str, dict[str, int]] = {
    "bare": {"log_every": NEVER, "inspect_every": 0},
    "full": {},
}


def compete(settings: Settings, logging: str) -> None:
    """Trains as `lenet.train` does.

    Args:
        logging: a key of `LOGGING`.
    """
    start_tensorflow(lean=True)
    from lenet import Trainer
    from lenet.training.progress import Reporter

    config, dataset, gate = settings.config(), settings.dataset(), Gate()
    size = len(dataset.train)
    schedule = Schedule(size, settings.batch_size, settings.turns)

    class Turns(Reporter):
        """Answers at the end of each epoch. Its Trainer is set after both exist."""

        trainer: Trainer

        def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
            gate.trained()

        def line(self, text: str) -> None:
            # Between the last update of an epoch and the next epoch, the Trainer prints only one
            # line, after the evaluation.
            history = self.trainer.history
            if not schedule.is_epoch_end(history.step):
                return
            steps = schedule.steps_per_epoch
            sizes = schedule.batch_sizes(history.step - steps, steps)
            recorded = history.run.rglob(events.PATTERN)
            gate.answer(
                float(history.losses[-steps:] @ sizes) / size,
                size,
                event_bytes=sum(path.stat().st_size for path in recorded),
            )
            gate.wait()

    with tempfile.TemporaryDirectory() as logdir:
        chosen: dict[str, Any] = {**LOGGING[logging], "logdir": Path(logdir)}
        turns = Turns()
        turns.trainer = Trainer(dataclasses.replace(config, **chosen), dataset, turns)
        gate.wait()
        turns.trainer.fit()


def save_initial_weights(settings: Settings, path: Path) -> None:
    """Writes a network before training to a file, for contestants without TensorFlow.

    The file contains `layers`, a JSON text with the kind of each layer in order, and the arrays
    `<layer>/kernel` and `<layer>/bias`. A layer's `input` is the shape before flattening.
    """
    start_tensorflow(lean=True)
    import numpy as np
    import tensorflow as tf

    from lenet.networks.architectures import build_model

    dataset = settings.dataset()
    config = settings.config().resolved(len(dataset.train))
    network = build_model(config, dataset.image_shape, len(dataset.class_names))
    layers, shape = [], list(dataset.image_shape)
    outputs = network.activations(tf.zeros((1, *dataset.image_shape)))
    for layer in network.stacked:
        layers.append(
            {
                "name": layer.name,
                "kind": type(layer).__name__,
                "input": shape,
                "padding": getattr(layer, "padding", None),
                "rate": getattr(layer, "rate", None),
                "activation": settings.activation if layer.name in network.act else None,
            }
        )
        if layer.name in outputs:
            shape = outputs[layer.name].shape[1:].as_list()
    arrays: dict[str, Any] = {
        f"{name}/{part}": np.asarray(getattr(layer, part))
        for name, layer in network.weight_layers.items()
        for part in ("kernel", "bias")
    }
    np.savez(path, layers=json.dumps(layers), learning_rate=str(config.learning_rate), **arrays)


if __name__ == "__main__":
    if sys.argv[2] == "weights":
        save_initial_weights(Settings.from_json(sys.argv[1]), Path(sys.argv[3]))
    else:
        compete(Settings.from_json(sys.argv[1]), sys.argv[2])
