"""Questions asked of a trained network: the run read back, one image inside it, how layers separate classes.

May import: data, networks, recording.
"""
