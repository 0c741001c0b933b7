"""Questions asked of a trained network: what one image does inside it, how layers separate classes.

May import: data, networks, recording.
"""
