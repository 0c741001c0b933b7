"""Writes a page that compares all runs of a folder: `python -m experiments.report FOLDER`.

`reading` reads the runs into `data`, and `grouping` groups them into combinations. `statistics`
ranks the combinations, and `results` returns one row per run. `answers`, `choices`, `leader_board`,
`diagnosis`, `contrasts`, `advice`, `layer_numbers` and `sentences` write the text of the page.
`inspected`, `images`, `curves`, `films` and `parts` draw its figures. `page` writes the file.

May import: combinations.
"""
