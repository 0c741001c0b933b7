"""Images in memory: reading them from files, folders and downloads, and choosing which are used when.

Needs no TensorFlow. May import: nothing but the top modules.
"""
