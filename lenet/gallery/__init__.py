"""All figures of one trained run, drawn, written to a folder, and shown on one page.

May import: data, figures, networks, recording, analysis.
"""
