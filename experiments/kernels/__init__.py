"""Shows what convolution and pooling do to an image: `python -m experiments.kernels IMAGE`.

`filters` computes, and `figure` draws. TensorFlow is not needed.

May import: nothing else of the experiments.
"""
