"""Writes one page in which the user draws a digit and sees how their own network answers it.

The page runs the network itself, in the browser. The files in `web/` are its HTML, CSS and
JavaScript; `page` puts them together with what `export` reads from the runs.

May import: analysis, data, networks, recording, training.
"""
