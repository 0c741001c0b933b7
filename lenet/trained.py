"""Reads a trained run back and runs its network on images, for scripts and notebooks."""

from lenet.training.runtime import import_tensorflow

import_tensorflow()  # Before the next import, which would print what TensorFlow's libraries print.
from lenet.analysis.trained import TrainedRun, layer_outputs, load_run, predict, softmax  # noqa: E402

__all__ = ["TrainedRun", "layer_outputs", "load_run", "predict", "softmax"]
