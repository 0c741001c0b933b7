"""The contestant `model.fit` of Keras, on float32 arrays in memory, in its usual form."""

from __future__ import annotations

import sys
import tempfile
import time
from typing import Any

from experiments.bench.gate import Gate
from experiments.bench.settings import Settings, floats
from lenet.data.datasets import Dataset
from lenet.training.runtime import quiet_stderr

with quiet_stderr():
    import keras
    import tensorflow as tf

    tf.constant(0)  # The devices start here, and print lines while they do.

from lenet.networks.architectures import build_model

STEPS_PER_EXECUTION = (1, 10, 50, 100)
STEPS_TO_TRY = 200
SILENT: Any = 0


def functional_model(settings: Settings, dataset: Dataset) -> Any:
    """The same network, with the same initial weights, as a functional model with one output."""
    config = settings.config().resolved(len(dataset.train))
    network = build_model(config, dataset.image_shape, len(dataset.class_names))
    inputs = outputs = keras.Input(dataset.image_shape)
    for layer in network.stacked:
        outputs = layer(outputs)
        outputs = network.act[layer.name](outputs) if layer.name in network.act else outputs
    return keras.Model(inputs, outputs)


def compile_model(model: Any, learning_rate: Any, steps_per_execution: int = 1) -> None:
    """Compiles a model with Keras's own Adam, the loss and the accuracy."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
    )


def best_steps_per_execution(settings: Settings, dataset: Dataset, images: Any) -> int:
    """The number of steps per compiled call with which `model.fit` is fastest on this machine."""
    count = min(len(images), STEPS_TO_TRY * settings.batch_size)
    rate = settings.config().resolved(len(dataset.train)).learning_rate
    ends: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            ends.append(time.perf_counter())

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            ends.append(time.perf_counter())

    def seconds(steps: int) -> float:
        model = functional_model(settings, dataset)
        compile_model(model, rate, steps)
        model.fit(
            images[:count],
            dataset.train.labels[:count],
            batch_size=settings.batch_size,
            epochs=2,
            verbose=SILENT,
            callbacks=[Clock()],
        )
        return ends[-1] - ends[-2]  # The second epoch, because Keras compiles in the first one.

    return min(STEPS_PER_EXECUTION, key=seconds)


def compete(settings: Settings, how: str) -> None:
    """Trains with `model.fit`.

    Args:
        how: "plain"; "best" for the best `steps_per_execution`; or "tensorboard" for an
            evaluation after each epoch and the TensorBoard callback, which writes histograms
            of the weights after each epoch and the loss and the accuracy at each step.
    """
    dataset, gate = settings.dataset(), Gate()
    config = settings.config().resolved(len(dataset.train))
    images, labels = floats(dataset, dataset.train), dataset.train.labels
    keras.utils.set_random_seed(settings.seed)
    gate.wait()  # The next lines are part of the warm-up, when no other contestant trains.
    steps = best_steps_per_execution(settings, dataset, images) if how == "best" else 1
    more = {"choice": f"steps_per_execution={steps}"} if how == "best" else {}

    class Turns(keras.callbacks.Callback):
        """Answers at the end of each epoch. It is the last callback, after all writing callbacks."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch > 0:
                gate.wait()

        def on_test_begin(self, logs: Any = None) -> None:
            gate.trained()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if how != "tensorboard":
                gate.trained()
            gate.answer((logs or {})["loss"], len(images), **more)

    with tempfile.TemporaryDirectory() as logdir:
        callbacks: list[Any] = [Turns()]
        arguments: dict[str, Any] = {}
        if how == "tensorboard":
            each_step: Any = 1
            writing = keras.callbacks.TensorBoard(logdir, histogram_freq=1, update_freq=each_step)
            callbacks.insert(0, writing)
            arguments["validation_data"] = (floats(dataset, dataset.test), dataset.test.labels)
        model = functional_model(settings, dataset)
        compile_model(model, config.learning_rate, steps)
        model.fit(
            images,
            labels,
            batch_size=settings.batch_size,
            epochs=settings.turns,
            verbose=SILENT,
            callbacks=callbacks,
            **arguments,
        )


if __name__ == "__main__":
    compete(Settings.from_json(sys.argv[1]), sys.argv[2])
