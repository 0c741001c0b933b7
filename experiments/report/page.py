"""Writes the page of a report: one file that opens without a network connection or TensorFlow."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

from experiments.report import sentences
from experiments.report.advice import command_words, more_seeds_command, tune_all_command
from experiments.report.answers import about_overfitting, answers
from experiments.report.data import TUNING, Comparison
from experiments.report.diagnosis import command_phrases, make_card, rule_list
from experiments.report.differences import METHOD
from experiments.report.intervals import about_noise, interval_groups
from experiments.report.layer_numbers import layer_tables
from experiments.report.leader_board import board_caption, board_columns, board_rows
from experiments.report.network import GLOSSARY, network_boxes
from experiments.report.reading import read_comparison
from experiments.report.results import result_rows
from experiments.report.statistics import NO_BREAK_SPACE
from lenet import cli, files
from lenet.diagnostics import DIAGNOSTICS

HERE = Path(__file__).parent
LONG_LABEL = 40  # Characters. The leader board breaks longer names of combinations into lines.
BESIDE = (
    "gradients",
    "activity",
    "weights",
    *DIAGNOSTICS,
)  # Parts with space for their text beside them.

# The dashes of matplotlib as lengths in SVG, for the legend.
DASHES = {"-": "none", "--": "7 4", ":": "2 3", "-.": "8 3 2 3"}


def write_report(folder: Path | str, output: Path | str | None = None) -> Path:
    """Compares all runs directly in a folder.

    Args:
        folder: the folder of a grid, or a folder of separate runs.
        output: the path of the page; default: `report.html` in the folder.

    Returns:
        The path of the page. `results.csv` and `results.json` are written to the same folder.

    Raises:
        ReportError: the folder contains no runs, or runs on different data sets.
        OSError: a file cannot be read or written.
    """
    comparison = read_comparison(folder)
    output = Path(output or Path(folder) / "report.html")
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
    """The page as HTML. All text is escaped, and a policy forbids all content from elsewhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Browsers hash the script as it is in the page, so no character may be added to it.
    script = (HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    figures = _figures(comparison)  # First, because damaged files are found while drawing.
    page = environment.get_template("report.html").render(
        policy="default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup((HERE / "report.css").read_text()),
        script=Markup(script),
        phrases=command_phrases,
        signed=signed,
        **_texts(comparison, output),
        **figures,
    )
    return re.sub(r"(?<=\d) (?=[%±])|(?<=±) (?=\d)", NO_BREAK_SPACE, page)  # In one line.


def signed(value: float) -> str:
    """A number with two decimals and a true minus sign; 0.00 has no sign."""
    return f"{round(float(value), 2) + 0:.2f}".replace("-", "−")


def _texts(comparison: Comparison, output: Path) -> dict[str, Any]:
    """The sentences and tables of the page."""
    again = [cli.python_command(), "-m", "experiments.report", cli.short_path(comparison.folder)]
    if output.parent != comparison.folder:
        again += ["--output", cli.short_path(output)]
    return {
        "title": f"Comparison: {comparison.folder.resolve().name}",
        "question": sentences.question(comparison),
        "answers": answers(comparison),
        "facts": sentences.facts(comparison),
        "command": shlex.join(command_words(comparison)),
        "notes": sentences.notes(comparison),
        "tune_command": "" if comparison.grid.get(TUNING) else tune_all_command(comparison),
        "validated": any(run.dataset.get("validation") for run in comparison.runs),
        "stopped_early": comparison.stopped_early,
        "columns": board_columns(comparison),
        "board": board_rows(comparison),
        "long_labels": any(len(c.label) > LONG_LABEL for c in comparison.combinations),
        "board_caption": board_caption(comparison),
        "most_seeds": comparison.most_seeds,
        "first_seed": comparison.seeds[0],
        "intervals": interval_groups(comparison),
        "noise": about_noise(comparison),
        "more_seeds": more_seeds_command(comparison),
        "method": METHOD,
        "layer_tables": layer_tables(comparison),
        "boxes": network_boxes(comparison),
        "glossary": GLOSSARY,
        "rules": rule_list(),
        "again": shlex.join(again),
        "tensorboard": cli.tensorboard_command(Path(cli.short_path(comparison.folder))),
        "overfitting": about_overfitting(comparison),
    }


def _figures(comparison: Comparison) -> dict[str, Any]:
    """The figures of the page, and the text about them."""
    # The drawing code is imported here, so that a user error is reported without delay.
    from experiments.report.curves import curves_panels
    from experiments.report.films import films_caption, make_films
    from experiments.report.images import variant_look
    from experiments.report.inspected import Inspected
    from experiments.report.mistakes import MOST_CLASSES
    from experiments.report.parts import sections_of

    inspected = Inspected(comparison)
    panels = curves_panels(comparison, inspected.last_step)
    inside = {name: sections_of(inspected, name) for name in comparison.activations}
    targets = {c.number: {"curves": panel.target} for panel in panels for c in panel.combinations}
    for section in (section for sections in inside.values() for section in sections):
        for combination, panel in section.panels:
            if panel.filled:
                targets[combination.number][section.name] = f"{section.name}-c{combination.number}"
    looks = {c.variant: variant_look(comparison, c) for c in comparison.combinations}
    films = make_films(inspected)
    return {
        "fairness": sentences.fairness(comparison, inspected.probe_images),
        "looks": {variant: (color, DASHES[dash]) for variant, (color, dash) in looks.items()},
        "cards": [make_card(comparison, c, targets) for c in comparison.combinations],
        "panels": panels,
        "films": films,
        "films_caption": films_caption(inspected, films),
        "steps": inspected.film_steps,
        "steps_per_epoch": comparison.runs[0].record.steps_per_epoch,
        "inside": {name: sections for name, sections in inside.items() if sections},
        "beside": BESIDE,
        "most_classes": MOST_CLASSES,
    }
