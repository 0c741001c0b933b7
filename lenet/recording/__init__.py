"""Everything a run leaves on disk, written and read back: its folder, checkpoints, TensorBoard events, inspections.

Only `summaries` needs TensorFlow. May import: data, figures.
"""
