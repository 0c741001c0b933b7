"""A contestant in the part `target`: `model.fit` with the rates of `lenet`'s one_cycle schedule."""

from __future__ import annotations

import json
import sys
from typing import Any

from experiments.bench.keras_fit import compile_model, functional_model, keras, tf
from experiments.bench.settings import Settings, floats
from lenet.training.learning_rates import learning_rates
from lenet.training.schedule import Schedule


class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """One learning rate for each step.

    Args:
        rates: float32 [steps].
    """

    def __init__(self, rates: Any) -> None:
        self.rates = tf.constant(rates)

    def __call__(self, step: Any) -> Any:
        return tf.gather(self.rates, tf.cast(step, tf.int32))


def main(*, learning_rate: float, epochs: int, **values: Any) -> None:
    """Trains, evaluates after each epoch, and prints the last test accuracy as JSON."""
    settings = Settings(turns=epochs, **values)
    dataset = settings.dataset()
    keras.utils.set_random_seed(settings.seed)
    steps = Schedule(len(dataset.train), settings.batch_size, epochs).total_steps
    rates = learning_rates("one_cycle", learning_rate, 0, steps, steps)
    model = functional_model(settings, dataset)
    compile_model(model, Rates(rates))
    verbose: Any = 0
    history = model.fit(
        floats(dataset, dataset.train),
        dataset.train.labels,
        batch_size=settings.batch_size,
        epochs=epochs,
        validation_data=(floats(dataset, dataset.test), dataset.test.labels),
        verbose=verbose,
    )
    print(json.dumps({"test_accuracy": history.history["val_accuracy"][-1]}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
