"""Trains a network: the compiled steps, the outer loop around them, the schedule, interruptions.

May import: figures, data, networks, recording, analysis.
"""
