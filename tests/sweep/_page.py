"""`docs/reliability.md`, made from the stored results of the rows and nothing else."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import HERE, Outcome, Row

PAGE = HERE.parent.parent / "docs" / "reliability.md"
PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "tensorboard", "distributed")

TOP = """\
# Reliability

<!-- Made by `python -m tests.sweep`. Do not edit. -->

What the programs promise when something goes wrong, and how often we tried to break each promise. A
trial makes one real fault: it kills a process, fills a disk, flips a byte of a file. A failure is a
trial in which the promise did not hold. The default tests make a sample of the trials of every row.
This command makes all of them, and writes this page from the results:

```bash
.venv/bin/python -m tests.sweep
```

To repeat one row, add its name. Every row is a module of the same name in `tests/sweep/`.

"""


def store(row: Row, outcome: Outcome, seconds: float | None = None) -> None:
    """Stores the results of a row next to its module. `seconds` was the limit of its time."""
    limit = "" if seconds is None else f" --seconds {seconds:g}"
    results = {
        "trials": outcome.trials,
        "planned": outcome.planned,
        "failures": outcome.failures,
        "seconds": round(outcome.seconds, 1),
        "command": f"python -m tests.sweep {row.name}{limit}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
            "system": f"{platform.system()} {platform.machine()}",
        },
    }
    stored(row).write_text(json.dumps(results, indent=2) + "\n")


def stored(row: Row) -> Path:
    """The file with the results of a row."""
    return HERE / f"{row.name}.json"


def page(rows: Mapping[str, Row]) -> str:
    """The page. Rows without stored results are not on it."""
    results = {
        row: json.loads(stored(row).read_text()) for row in rows.values() if stored(row).exists()
    }
    return TOP + _table(results) + _failures(results) + _versions(results)


def _table(results: Mapping[Row, dict[str, Any]]) -> str:
    lines = [
        "| row | what goes wrong | what holds | trials | failures | seconds |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{row.name}` | {row.fault} | {row.promise} | {_count(found)} | "
            f"{len(found['failures'])} | {found['seconds']:,.0f} |"
            for row, found in results.items()
        ),
    ]
    trials, failures, seconds = (
        sum(map(count, results.values()))
        for count in (
            lambda found: found["trials"],
            lambda found: len(found["failures"]),
            lambda found: found["seconds"],
        )
    )
    lines.append(f"| | | **all** | **{trials:,}** | **{failures}** | **{seconds:,.0f}** |")
    return "\n".join(lines) + "\n"


def _count(found: Mapping[str, Any]) -> str:
    """The number of trials and, if the time was not enough for all, of those planned."""
    made, planned = found["trials"], found.get("planned", found["trials"])
    return f"{made:,}" if made == planned else f"{made:,} of {planned:,}"


def _failures(results: Mapping[Row, dict[str, Any]]) -> str:
    failed = [(row.name, text) for row, found in results.items() for text in found["failures"]]
    if not failed:
        return ""
    return "\n## Failures\n\n" + "".join(f"- `{name}`: `{text}`\n" for name, text in failed)


def _versions(results: Mapping[Row, dict[str, Any]]) -> str:
    """The dates and versions, one line for all rows that share them."""
    groups: dict[str, list[str]] = {}
    for row, found in results.items():
        versions = ", ".join(f"{name} {value}" for name, value in found["versions"].items())
        groups.setdefault(f"{found['date']}: {versions}", []).append(f"`{row.name}`")
    lines = "".join(f"- {', '.join(names)}, {made}.\n" for made, names in groups.items())
    return f"\n## When and with what\n\n{lines}"
