"""Draws all figures of one trained run and writes them to a folder, with a page that shows them.

`groups` lists them; `run_data` reads what they are drawn from.

May import: data, figures, networks, recording, analysis, diagnosis.
"""
