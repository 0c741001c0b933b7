"""Writes saved measurements into the documentation: `python -m experiments.bench.pages`.

The measurements of the project are in `docs/bench/`, one file per call of the benchmark. This program
draws `docs/bench.png` from them, and replaces what stands between the marks `<!-- bench … -->` and
`<!-- end -->` in README.md and docs/speed.md. A test compares both pages with the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.bench import chart
from experiments.bench.chart import TITLES
from experiments.bench.results import in_order, lines
from experiments.bench.rounds import Answer
from lenet import files

FOLDER = Path("docs/bench")
CHART = Path("docs/bench.png")
PAGES = (Path("README.md"), Path("docs/speed.md"))
BLOCK = re.compile(r"(<!-- bench (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str, folder: Path = FOLDER) -> str:
    """A page with its blocks written anew.

    Args:
        text: the page, in Markdown.
        folder: the measurements. A block `<!-- bench all -->` shows the ratios of all of them that
            use LeNet. A block `<!-- bench grid -->` shows everything in `grid.json`.
    """

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name == "all":
            content = ratios(together(folder))
        else:
            content = complete(json.loads((folder / f"{name}.json").read_text()))
        return match[1] + "\n".join(content) + "\n" + match[3]

    return BLOCK.sub(block, text)


def together(folder: Path) -> Answer:
    """The measurements with LeNet as one. The parts that were measured several times are joined."""
    joined: Answer = {}
    for path in sorted(folder.glob("*.json")):
        measured = json.loads(path.read_text())
        if measured["settings"]["model"] != "lenet":
            continue
        joined = joined or {**measured, "parts": {}}
        for name, part in measured["parts"].items():
            before = joined["parts"].get(name, {"ratios": []})
            joined["parts"][name] = {**part, "ratios": before["ratios"] + part["ratios"]}
    return joined


def ratios(measured: Answer) -> Iterator[str]:
    """The ratios of networks with relu, as two tables."""
    parts = measured["parts"]
    yield f"{_machine(measured)}:"
    yield ""
    yield from _matrix(parts["train"]["ratios"], "relu")
    others = [
        f"| {title} ({ratio['setting']}) | {ratio['title']} | {_ratio(ratio)} |"
        for name, title in list(TITLES.items())[1:]
        for ratio in parts.get(name, {}).get("ratios", [])
    ]
    if others:
        yield ""
        yield "| what | compared | factor |"
        yield "|---|---|---|"
        yield from others


def complete(measured: Answer) -> Iterator[str]:
    """Everything that was measured in one call, as the program printed it."""
    yield "```text"
    yield f"$ {measured['command']}"
    yield f"{_machine(measured)}, load {measured['load_average'][0]:.1f} at the start"
    for name, part in measured["parts"].items():
        yield ""
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
    """Draws the chart and writes both pages anew."""
    files.write(CHART, chart.draw(together(FOLDER)))
    for page in PAGES:
        files.write(page, fill(page.read_text()))


if __name__ == "__main__":
    main()
