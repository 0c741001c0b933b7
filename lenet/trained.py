"""Reads a trained run back and runs its network on images, for scripts and notebooks."""

from lenet.analysis.trained import TrainedRun, layer_outputs, load_run, predict, softmax

__all__ = ["TrainedRun", "layer_outputs", "load_run", "predict", "softmax"]
