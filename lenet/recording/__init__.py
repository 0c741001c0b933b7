"""Everything a run leaves on disk, written and read back: its folder, checkpoints, TensorBoard events, inspections.

Only `summaries` and `recorder` need TensorFlow. May import: data, figures.
"""
