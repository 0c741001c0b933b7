"""Writes a page that compares all runs of a folder: `python -m experiments.report FOLDER`.

`reading` reads the runs into `data`, and `grouping` makes combinations of them. `statistics` ranks
them, `results` makes a row of each run. `board`, `diagnosis` and `sentences` write what the page
says; `inspected`, `images`, `curves`, `films` and `parts` make what it shows; `page` writes it.

May import: combinations.
"""
