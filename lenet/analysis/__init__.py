"""Analyses a trained network: how it processes one image, and how well its layers separate classes.

May import: data, networks, recording.
"""
