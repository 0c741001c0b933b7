"""Trains every combination of activation, optimizer, seed and other options: `python -m experiments.grid`.

May import: report, combinations.
"""
