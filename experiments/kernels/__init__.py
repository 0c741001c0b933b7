"""What convolution and pooling do, before any learning: `python -m experiments.kernels IMAGE`.

`filters` computes, `figure` draws. No TensorFlow needed.

May import: nothing else of the experiments.
"""
