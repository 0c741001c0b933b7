"""The Keras networks and optimizers, and how uint8 images go into them.

May import: nothing but the top modules.
"""
