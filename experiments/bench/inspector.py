"""The part `inspector`: what `lenet.Inspector` costs `model.fit`, with three usual Keras models."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.bench.options import Options
from experiments.bench.rounds import Answer, compare, in_turns
from experiments.bench.settings import Settings

BATCH_SIZE = 128
EVERY, QUICK_EVERY = 200, 20  # Steps. There is one inspection in each epoch.
ROUNDS = 5
MODELS = {
    "convnet": 'the network of Keras\'s example "Simple MNIST convnet" (Sequential)',
    "resnet": "a small residual network with batch normalization (functional)",
    "subclass": "the network of TensorFlow's quickstart for experts (subclassed)",
}
WITH, WITHOUT = "with Inspector", "without"


def measure(options: Options) -> Answer:
    """Lets each model train with and without the callback, in turns."""
    every = QUICK_EVERY if options.quick else EVERY
    rounds = options.rounds_of(ROUNDS)
    settings = options.settings(batch_size=BATCH_SIZE, images=every * BATCH_SIZE, turns=1 + rounds)
    result: Answer = {"measurements": [], "ratios": [], "notes": [], "refused": []}
    for model, words in MODELS.items():
        program = [sys.executable, "-m", "experiments.bench.inspector", settings.to_json(), model]
        commands = {name: [*program, str(every if name == WITH else 0)] for name in (WITHOUT, WITH)}
        print(f"{model}: warm-up, then {rounds} rounds of {every} steps …", flush=True)
        answers, _ = in_turns(commands, rounds)
        result["measurements"] += [
            {"contestant": name, "what": words, "setting": model, "answers": own}
            for name, own in answers.items()
        ]
        for kind, more in (("epoch_seconds", ""), ("cpu_seconds", ", processor time")):
            seconds = {name: [a[kind] for a in own[1:]] for name, own in answers.items()}
            title = f"{WITH} / {WITHOUT}{more}"
            result["ratios"].append(compare(title, seconds[WITH], seconds[WITHOUT], setting=model))
        first, usual = (answers[name][0]["epoch_seconds"] for name in (WITH, WITHOUT))
        result["notes"].append(
            f"{model}: {words}. The first epoch took {first:.1f} s with Inspector and {usual:.1f} s "
            "without, because everything is compiled."
        )
        weights = [[answer["weights_sha256"] for answer in own] for own in answers.values()]
        if weights[0] != weights[1]:
            result["refused"].append(f"{model} has other weights with Inspector than without")
    if not result["refused"]:
        result["notes"].append("The weights were the same with and without, bit for bit.")
    return result


def compete(settings: Settings, name: str, every: int) -> None:
    """Trains one of the models with `model.fit`.

    Args:
        name: a key of MODELS.
        every: the number of steps between inspections; 0: without the callback.
    """
    from lenet.training.runtime import quiet_stderr

    with quiet_stderr():
        import keras
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        tf.constant(0)  # The devices start here, and print lines while they do.

    from experiments.bench.gate import Gate
    from experiments.bench.settings import floats
    from lenet import Inspector
    from lenet.recording.checkpoints import weights_sha256

    dataset = settings.dataset()
    images, probe = floats(dataset, dataset.train), floats(dataset, dataset.test)
    keras.utils.set_random_seed(settings.seed)
    gate = Gate()
    model: Any = _model(name)
    cpu_seconds = 0.0

    class Turns(keras.callbacks.Callback):
        """Answers at the end of each epoch, after the other callback."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            nonlocal cpu_seconds
            if epoch > 0:
                gate.wait()
            cpu_seconds = time.process_time()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            gate.trained()
            taken = time.process_time() - cpu_seconds
            sha256 = weights_sha256(model)
            more = {"cpu_seconds": taken, "weights_sha256": sha256}
            gate.answer((logs or {})["loss"], len(images), **more)

    gate.wait()
    with tempfile.TemporaryDirectory() as logdir:
        callbacks: list[Any] = [Turns()]
        if every:
            inspector = Inspector(Path(logdir) / "run", (probe, dataset.test.labels), every=every)
            callbacks.insert(0, inspector)
        silent: Any = 0
        model.fit(
            images,
            dataset.train.labels,
            batch_size=settings.batch_size,
            epochs=settings.turns,
            verbose=silent,
            callbacks=callbacks,
        )


def _model(name: str) -> Any:
    """A compiled model for images of 28x28 pixels in ten classes."""
    import keras

    made = {"convnet": _convnet, "resnet": _resnet, "subclass": _subclass}[name]()
    made.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return made


def _convnet() -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def _resnet() -> Any:
    import keras
    from keras import layers

    def conv(x: Any, kernels: int, size: int = 3, strides: int = 1) -> Any:
        made = layers.Conv2D(kernels, size, strides=strides, padding="same", use_bias=False)
        return layers.BatchNormalization()(made(x))

    inputs = keras.Input((28, 28, 1))
    x = layers.ReLU()(conv(inputs, 16))
    for kernels, strides in ((16, 1), (32, 2)):
        path = layers.ReLU()(conv(x, kernels, strides=strides))
        path = conv(path, kernels)
        shortcut = x if strides == 1 else conv(x, kernels, size=1, strides=strides)
        x = layers.ReLU()(layers.add([path, shortcut]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _subclass() -> Any:
    import keras
    from keras import layers

    class MyModel(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = layers.Conv2D(32, 3, activation="relu")
            self.flatten = layers.Flatten()
            self.d1 = layers.Dense(128, activation="relu")
            self.d2 = layers.Dense(10)

        def call(self, x: Any) -> Any:
            return self.d2(self.d1(self.flatten(self.conv1(x))))

    return MyModel()


if __name__ == "__main__":
    compete(Settings.from_json(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
