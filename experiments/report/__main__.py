"""`python -m experiments.report FOLDER`: one page that compares all runs of a folder.

The page is one file that opens without a network connection. Writing it does not need TensorFlow.
`results.csv` and `results.json` in the same folder have one row per run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.report.data import ReportError
from experiments.report.page import write_report
from lenet import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Returns:
        0 if the page was written.

    Raises:
        SystemExit: `--help` (0), or a user error (2).
    """
    cli.replace_unprintable()
    parser = cli.ArgumentParser(prog="python -m experiments.report", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="the folder that contains the runs, e.g. summary_logs/demo"
    )
    parser.add_argument("--output", type=Path, help="the page (default: FOLDER/report.html)")
    options = parser.parse_args(arguments)
    try:
        print(f"Report  {write_report(options.folder, options.output)}")
    except (ReportError, OSError) as error:
        cli.fail(error)
    return 0


if __name__ == "__main__":
    cli.run(main)
