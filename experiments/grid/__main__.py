"""`python -m experiments.grid`: reads the command line and starts the grid."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from experiments.grid import options
from lenet import cli
from lenet.recording.runs import RunError

PROG = "python -m experiments.grid"
DESCRIPTION = (
    "Trains every combination of the given activations, optimizers, seeds and other options, and "
    "compares them. All combinations with the same seed see the same images in the same order. "
    "They also start from the same initial weights if the network and its initializer are the "
    "same. If you give several values for an option, the grid combines each of them with all values "
    "of the other options. If you repeat the command, the grid skips finished runs and continues the others. The exit code is 1 "
    "if a run failed. A run that diverged counts as a result."
)
SIGNAL_BASE = 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        arguments: the arguments after the program's name; default: those of this process.

    Returns:
        0 if every run is done or has diverged; 1 if a run failed or the report could not be
        written; 128 plus the number of the signal if interrupted.

    Raises:
        SystemExit: `--help` (0), or a user error (2).
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    cli.replace_unprintable()
    try:
        chosen = options.parse(arguments, PROG, DESCRIPTION)
        from experiments.grid.grid import Grid  # After parsing, so that --help is fast.

        grid = Grid(chosen, arguments)
    except KeyboardInterrupt:
        print("Interrupted before training began. Nothing was saved.", file=sys.stderr)
        return SIGNAL_BASE + signal.SIGINT
    except (ValueError, OSError) as error:
        cli.fail(error)
    try:
        successful, signal_number = grid.run()
    except (RunError, OSError) as error:
        cli.fail(error)
    if signal_number:
        return SIGNAL_BASE + signal_number
    return 0 if successful else 1


if __name__ == "__main__":
    cli.run(main)
