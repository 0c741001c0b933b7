"""Writes the page of a report: one file that opens anywhere, without a network or TensorFlow."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shlex
from pathlib import Path
from typing import Any

from experiments.report import sentences
from experiments.report.data import Comparison
from experiments.report.diagnosis import command_phrases, make_card, rule_list
from experiments.report.leader_board import COLUMNS, board_caption, board_rows
from experiments.report.reading import read_comparison
from experiments.report.results import result_rows
from lenet import cli, files

HERE = Path(__file__).parent
LONG_LABEL = 40  # Characters; longer names of combinations break lines in the leader board.
SHORT_NAME = 2  # Characters; up to this, the names of classes need little room next to a map.

# A dash of matplotlib as lengths in SVG, for the legend.
DASHES = {"-": "none", "--": "7 4", ":": "2 3", "-.": "8 3 2 3"}


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Compares all runs directly in a folder.

    Args:
        folder: of a grid, or of runs made one by one.
        output: the page; default `report.html` in the folder.

    Returns:
        The page's path. `results.csv` and `results.json` are written next to it.

    Raises:
        ReportError: the folder contains no runs, or runs on different data sets.
        OSError: something cannot be read or written.
    """
    comparison = read_comparison(folder)
    output = output or folder / "report.html"
    output.parent.mkdir(parents=True, exist_ok=True)
    page = render(comparison, output)
    results = result_rows(comparison)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(results[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(results)
    files.write(output.with_name("results.csv"), text.getvalue())
    files.write_json(output.with_name("results.json"), results)
    files.write(output, page)
    return output


def render(comparison: Comparison, output: Path) -> str:
    """The page as HTML. Every text is escaped, and a policy forbids everything from elsewhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Browsers hash the script exactly as it is in the page: not a character may be added to it.
    script = (HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html").render(
        policy="default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup((HERE / "report.css").read_text()),
        script=Markup(script),
        phrases=command_phrases,
        **_texts(comparison, output),
        **_figures(comparison),
    )


def _texts(comparison: Comparison, output: Path) -> dict[str, Any]:
    """What the page says in sentences and tables."""
    command = comparison.grid.get("command") or ""
    again = [cli.python_command(), "-m", "experiments.report", cli.short_path(comparison.folder)]
    if output.parent != comparison.folder:
        again += ["--output", cli.short_path(output)]
    return {
        "title": f"Comparison: {comparison.folder.resolve().name}",
        "question": sentences.question(comparison),
        "answers": sentences.answers(comparison),
        "facts": sentences.facts(comparison),
        "command": shlex.join(command) if isinstance(command, list) else str(command),
        "notes": sentences.notes(comparison),
        "columns": COLUMNS,
        "board": board_rows(comparison),
        "long_labels": any(len(c.label) > LONG_LABEL for c in comparison.combinations),
        "board_caption": board_caption(comparison),
        "most_seeds": comparison.most_seeds,
        "rules": rule_list(),
        "again": shlex.join(again),
    }


def _figures(comparison: Comparison) -> dict[str, Any]:
    """What the page shows in figures, and what it says about them."""
    # Drawing is imported here, so that a mistake in the command is reported at once.
    from experiments.report.curves import curves_panels
    from experiments.report.films import films_caption, make_films
    from experiments.report.images import variant_look
    from experiments.report.inspected import Inspected
    from experiments.report.parts import sections_of

    inspected = Inspected(comparison)
    panels = curves_panels(comparison, inspected.last_step)
    inside = {name: sections_of(inspected, name) for name in comparison.activations}
    targets = {c.number: {"curves": panel.target} for panel in panels for c in panel.combinations}
    for section in (section for sections in inside.values() for section in sections):
        for combination, panel in section.panels:
            if panel.images:
                targets[combination.number][section.name] = f"{section.name}-c{combination.number}"
    looks = {c.variant: variant_look(comparison, c) for c in comparison.combinations}
    films = make_films(inspected)
    return {
        "fairness": sentences.fairness(comparison, inspected.probe_images),
        "looks": {variant: (color, DASHES[dash]) for variant, (color, dash) in looks.items()},
        "cards": [make_card(c, targets[c.number]) for c in comparison.combinations],
        "panels": panels,
        "films": films,
        "films_caption": films_caption(inspected, films),
        "steps": inspected.film_steps,
        "steps_per_epoch": comparison.runs[0].record.steps_per_epoch,
        "inside": {name: sections for name, sections in inside.items() if sections},
        "short_names": max(map(len, comparison.dataset["class_names"])) <= SHORT_NAME,
    }
