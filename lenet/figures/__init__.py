"""Pictures of networks, drawn with matplotlib from plain arrays.

Every function takes arrays and an optional Axes, draws on that or on a new figure of its own,
and returns the Axes; none of them needs TensorFlow, a run or a file.
"""
