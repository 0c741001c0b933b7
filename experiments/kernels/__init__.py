"""Shows what convolution and pooling do to an image: `python -m experiments.kernels IMAGE`.

`filters` computes, `figure` draws. No TensorFlow needed.

May import: nothing else of the experiments.
"""
