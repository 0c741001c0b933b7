"""One page that compares all runs of a folder: `python -m experiments.report FOLDER`.

May import: combinations.
"""
