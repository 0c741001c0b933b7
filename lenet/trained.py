"""For scripts and notebooks: reads a trained run back and runs its network over images."""

from lenet.analysis.trained import TrainedRun, layer_outputs, load_run, predict, softmax

__all__ = ["TrainedRun", "layer_outputs", "load_run", "predict", "softmax"]
