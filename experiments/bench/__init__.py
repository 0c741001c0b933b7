"""Measures how fast `lenet` and other programs train a network: `python -m experiments.bench`.

May import: nothing else of the experiments.
"""
