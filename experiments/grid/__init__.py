"""Trains every combination of options that you list: `python -m experiments.grid`.

In the order in which they are used: `options` (the command line), `grid` (one grid from its
options to its outcome), `tuning`, `jobs` (what is asked of a run and what comes back), `executor`
and `cluster` (where runs are made), `run_one` and `session` (one run), `live` and `leader_board`
(what is printed), `record` (`grid.json`).

May import: report, combinations.
"""
