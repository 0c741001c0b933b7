"""Images in memory: read from files, folders and downloads, checked, split, and chosen from.

Needs no TensorFlow. May import: nothing but the top modules.
"""
