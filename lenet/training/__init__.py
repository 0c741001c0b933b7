"""Training itself: the compiled steps, the outer loop around them, its schedule and its interruptions.

May import: data, networks, recording, analysis.
"""
