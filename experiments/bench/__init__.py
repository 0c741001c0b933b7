"""How fast `lenet` is, compared with other ways to train the same network: `python -m experiments.bench`.

May import: nothing else of the experiments.
"""
