"""All figures of one trained run: drawn, written to a folder, and shown on one page.

`groups` lists them; `run_data` reads what they are drawn from.

May import: data, figures, networks, recording, analysis.
"""
