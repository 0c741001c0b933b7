"""The Keras networks and optimizers, and the conversion of uint8 images to their input.

May import: nothing but the top modules.
"""
