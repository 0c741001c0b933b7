"""What convolution and pooling do, before any learning: `python -m experiments.kernels IMAGE`.

`filters` computes, and `figure` draws. TensorFlow is not needed.

May import: nothing else of the experiments.
"""
