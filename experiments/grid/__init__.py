"""Trains every combination of options that you list: `python -m experiments.grid`.

The modules in the order of their use: `options` (the command line), `grid` (one grid from its
options to its results), `tuning` (learning rates), `jobs` (the request for a run and its outcome),
`executor` (runs jobs in this process or on a cluster), `cluster` (starts or finds a cluster),
`workers` and `greeting` (which of its machines can train), `dispatch` (gives runs to them),
`run_one` and `session` (one run), `live` and `terminal_board` (printed output), `record`
(`grid.json`), `library` (a grid from a script). Two programs help with clusters of several machines:
`certificates` and `overhead`.

May import: report, combinations.
"""

from experiments.grid.library import run_grid

__all__ = ["run_grid"]
