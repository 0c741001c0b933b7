"""Writes and reads the files of a run: its folder, checkpoints, TensorBoard events, inspections.

Only `summaries` and `recorder` need TensorFlow. May import: data, figures.
"""
