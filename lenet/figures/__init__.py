"""Draws figures from arrays: matplotlib Axes, small pixel images and animations.

Most drawing functions take arrays and an optional Axes, draw on it or on a new figure, and
return the Axes. Functions that need several Axes return the figure. None of them uses runs or
files, and none needs TensorFlow.
May import: nothing but the top modules.
"""
