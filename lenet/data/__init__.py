"""Reads images from files, folders and downloads, checks and splits them, and chooses from them.

Needs no TensorFlow. May import: nothing but the top modules.
"""
