"""See what a small convolutional network learns; compare activations and optimizers fairly.

from lenet import TrainConfig, Trainer, load_dataset
dataset = load_dataset("digits")
trainer = Trainer(TrainConfig(activation="sigmoid", epochs=5), dataset)
history = trainer.fit()
print(history.test_accuracy, history.run)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenet.config import TrainConfig
    from lenet.data.datasets import Dataset, Split, load_dataset
    from lenet.networks.architectures import LeNet
    from lenet.networks.classifier import Classifier
    from lenet.training.callback import Inspector
    from lenet.training.trainer import History, Trainer

__all__ = [
    "Classifier",
    "Dataset",
    "History",
    "Inspector",
    "LeNet",
    "Split",
    "TrainConfig",
    "Trainer",
    "load_dataset",
]

_HOMES = {
    "Classifier": "networks.classifier",
    "Dataset": "data.datasets",
    "History": "training.trainer",
    "Inspector": "training.callback",
    "LeNet": "networks.architectures",
    "Split": "data.datasets",
    "TrainConfig": "config",
    "Trainer": "training.trainer",
    "load_dataset": "data.datasets",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `--help` needs no TensorFlow."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name].startswith(("networks", "training")):
        from lenet.training.runtime import import_tensorflow

        import_tensorflow()
    return getattr(importlib.import_module(f"lenet.{_HOMES[name]}"), name)
