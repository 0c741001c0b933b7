"""Arrays in, pictures out: matplotlib Axes, small pixel pictures and animations.

Every drawing function takes arrays and an optional Axes, draws on it or on a new figure, and
returns the Axes. None of them knows about runs or files. Needs no TensorFlow.
May import: nothing but the top modules.
"""
