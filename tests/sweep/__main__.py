"""`python -m tests.sweep [ROW …]`: makes the trials, stores their results and writes the page."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import Unavailable, _page, rows, run
from . import __doc__ as description


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. The exit code is 1 if a promise was broken."""
    known = rows()
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweep",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"default: all ({', '.join(known)})")
    parser.add_argument("--quick", action="store_true", help="only a sample; stores nothing")
    parser.add_argument("--seconds", type=float, help="the time for each row; default: no limit")
    parser.add_argument("--page", action="store_true", help="only write docs/reliability.md")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.rows) - set(known)):
        parser.error(f"there is no row {', '.join(unknown)}; the rows are {', '.join(known)}")
    broken = 0
    for name in [] if options.page else options.rows or known:
        with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
            try:
                outcome = run(known[name], Path(folder), options.quick, options.seconds)
            except Unavailable as reason:
                print(f"{name}: left out: {reason}", flush=True)
                continue
        broken += len(outcome.failures)
        print(
            f"{name}: {outcome.trials:,} trials, {len(outcome.failures)} failures, "
            f"{outcome.seconds:.0f} s",
            flush=True,
        )
        for failure in outcome.failures[:20]:
            print(f"  {failure}", flush=True)
        if not options.quick:
            _page.store(known[name], outcome, options.seconds)
    if not options.quick:
        _page.PAGE.write_text(_page.page(known))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
