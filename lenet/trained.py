"""Reads a trained run back and runs its network on images, for scripts and notebooks."""

from lenet.training.runtime import import_tensorflow

import_tensorflow()  # First, because otherwise the next import prints many lines.
from lenet.analysis.trained import TrainedRun, layer_outputs, load_run, predict, softmax  # noqa: E402

__all__ = ["TrainedRun", "layer_outputs", "load_run", "predict", "softmax"]
