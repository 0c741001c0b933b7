"""Writes saved measurements into the documentation: `python -m experiments.bench.pages`.

The measurements of the project are in `docs/bench/`, one file per call of the benchmark. This
program replaces what stands between the marks `<!-- bench … -->` and `<!-- end -->` in README.md and
docs/speed.md. A test compares both pages with the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.bench.chart import TITLES
from experiments.bench.results import in_order, lines
from experiments.bench.rounds import Answer
from lenet import files

FOLDER = Path("docs/bench")
README, SPEED = Path("README.md"), Path("docs/speed.md")
MAIN = "lenet"
BLOCK = re.compile(r"(<!-- bench (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str, folder: Path = FOLDER) -> str:
    """A page with its blocks written anew.

    Args:
        text: the page, in Markdown.
        folder: the measurements. A block `<!-- bench lenet-short -->` shows the main results of
            `lenet.json`, and `<!-- bench lenet -->` shows everything in it.
    """

    def block(match: re.Match[str]) -> str:
        name = match["name"].removesuffix("-short")
        measured = json.loads((folder / f"{name}.json").read_text())
        content = short(measured) if name != match["name"] else complete(measured)
        return match[1] + "\n".join(content) + "\n" + match[3]

    return BLOCK.sub(block, text)


def short(measured: Answer) -> Iterator[str]:
    """The ratios of the relu networks, as two tables."""
    parts = measured["parts"]
    yield f"{_machine(measured)}:"
    yield ""
    yield from _matrix(parts["train"]["ratios"], "relu")
    yield ""
    yield "| what | compared | factor |"
    yield "|---|---|---|"
    for name, title in list(TITLES.items())[1:]:
        for ratio in parts.get(name, {}).get("ratios", []):
            yield f"| {title} ({ratio['setting']}) | {ratio['title']} | {_ratio(ratio)} |"


def complete(measured: Answer) -> Iterator[str]:
    """Everything that was measured, part by part, as the program printed it."""
    yield f"`{measured['command']}`"
    yield ""
    yield f"{_machine(measured)}; load at the start {measured['load_average'][0]:.1f}."
    for name, part in measured["parts"].items():
        yield ""
        yield "```text"
        yield name
        yield from lines(part)
        yield "```"


def _matrix(ratios: Sequence[Answer], activation: str) -> Iterator[str]:
    """One row per comparison, one column per batch size."""
    chosen = [ratio for ratio in ratios if ratio["setting"].endswith(activation)]
    settings = in_order(chosen, "setting")
    yield "| one epoch | " + " | ".join(settings) + " |"
    yield "|---" * (len(settings) + 1) + "|"
    for title in in_order(chosen, "title"):
        found = {ratio["setting"]: _ratio(ratio) for ratio in chosen if ratio["title"] == title}
        yield f"| {title} | " + " | ".join(found.get(each, "") for each in settings) + " |"


def _ratio(ratio: Answer) -> str:
    return f"{ratio['median']:.2f} ({ratio['minimum']:.2f} to {ratio['maximum']:.2f})"


def _machine(measured: Answer) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    return (
        f"{measured['processor']}, {measured['cpus']} processors, {versions}, "
        f"{measured['date'][:10]}"
    )


def main() -> None:
    """Writes both pages anew."""
    for page in (README, SPEED):
        files.write(page, fill(page.read_text()))


if __name__ == "__main__":
    main()
