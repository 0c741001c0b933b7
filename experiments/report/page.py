"""`python -m experiments.report FOLDER`: one page that compares all runs of a folder, and says why.

The page is one file that opens anywhere, with no network; making it needs no TensorFlow. Beside
it lie `results.csv` and `results.json`, one row per run.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.report import words
from experiments.report.board import COLUMNS, board, caption
from experiments.report.data import Comparison, read_comparison
from experiments.report.diagnosis import card, phrases
from experiments.report.results import rows
from lenet import cli
from lenet.diagnosis import RULES

if TYPE_CHECKING:  # Drawing is imported where it begins, so that a mistake is told at once.
    from experiments.report.pictures import Pictures

HERE = Path(__file__).parent
LONG_LABEL = 40  # Characters, from which on the leader board breaks lines in a combination's name.

DASHES = {"-": "none", "--": "7 4", ":": "2 3", "-.": "8 3 2 3"}

PARTS = {
    "kernels": (
        "Kernels at the start and at the end",
        "Above before training, below after it. Look for edges and blobs that were not there, and "
        "for kernels that have not changed.",
    ),
    "maps": (
        "What {layer} says of the classes",
        "A row for each probe image, sorted by class; a column for each unit. Blocks with a "
        "pattern of their own are classes told apart; stripes that run through all classes are "
        "units that say the same of everything.",
    ),
    "gradients": (
        "Gradient norm by layer",
        "From the first layer (dark) to the last (light), on a logarithmic scale, the same for "
        "all. Lines far apart: the first layers learn much more slowly than the last.",
    ),
    "activity": (
        "Saturated outputs and dead units",
        "Above, the share of outputs where the activation is so flat that hardly any gradient "
        "passes (with relu, those at 0: half of them is normal). Below, the share of units that "
        "give one and the same output for every probe image.",
    ),
    "weights": (
        "Weights at the start and at the end",
        "The outline is the spread before training, the filled shape that after it. Where both "
        "are the same, the layer has not moved; a wide shape means large weights. What lies beyond "
        "an edge is counted at it.",
    ),
}  # fmt: skip


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Compares all runs that lie directly in a folder.

    Args:
        folder: a grid's, or one with runs made one by one.
        output: the page; default `report.html` in the folder.

    Returns:
        The page's path. `results.csv` and `results.json` are written beside it.

    Raises:
        ReportError: the folder holds no runs, or runs on different data sets.
        OSError: something cannot be read or written.
    """
    comparison = read_comparison(folder)
    output = output or folder / "report.html"
    output.parent.mkdir(parents=True, exist_ok=True)
    page = render(comparison, output)
    found = rows(comparison)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    _replace(output.with_name("results.csv"), text.getvalue())
    _replace(output.with_name("results.json"), json.dumps(found, indent=1) + "\n")
    _replace(output, page)
    return output


def render(comparison: Comparison, output: Path) -> str:
    """The page as HTML; every text is escaped, and a policy forbids all that is not its own."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from experiments.report.pictures import Pictures

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Browsers hash the script as it stands in the page: not a character may be added to it.
    script = (HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html").render(
        policy="default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup((HERE / "report.css").read_text()),
        script=Markup(script),
        phrases=phrases,
        **_texts(comparison, output),
        **_views(comparison, Pictures(comparison)),
    )


def _texts(comparison: Comparison, output: Path) -> dict[str, Any]:
    """What the page says in words and numbers."""
    command = comparison.grid.get("command") or ""
    again = [cli.python_command(), "-m", "experiments.report", cli.short_path(comparison.folder)]
    if output.parent != comparison.folder:
        again += ["--output", cli.short_path(output)]
    return {
        "title": f"Comparison: {comparison.folder.resolve().name}",
        "question": words.question(comparison),
        "answers": words.answers(comparison),
        "facts": words.facts(comparison),
        "command": shlex.join(command) if isinstance(command, list) else str(command),
        "notes": words.notes(comparison),
        "columns": COLUMNS,
        "board": board(comparison),
        "wordy": any(len(c.label) > LONG_LABEL for c in comparison.combinations),
        "board_caption": caption(comparison),
        "most_seeds": comparison.most_seeds,
        "rules": RULES,
        "again": shlex.join(again),
    }


def _views(comparison: Comparison, pictures: Pictures) -> dict[str, Any]:
    """What the page shows in pictures, and what is said of them."""
    views = {c.number: pictures.views(c) for c in comparison.combinations}
    films = [view.film for view in views.values() if view.film]
    layer = pictures.feature_layer
    parts = [
        {"kind": kind, "heading": heading.format(layer=layer), "caption": text}
        for kind, (heading, text) in PARTS.items()
    ]
    return {
        "fairness": words.fairness(comparison, pictures.probe_images),
        "color": pictures.color,
        "looks": {name: (color, DASHES[dash]) for name, (color, dash) in pictures.looks.items()},
        "diagnoses": [card(c, bool(pictures.steps)) for c in comparison.combinations],
        "panels": pictures.panels(),
        "steps": pictures.steps,
        "steps_per_epoch": comparison.runs[0].record.steps_per_epoch,
        "film_reaches": {n: pictures.reaches[n] for n in (films[0].layers if films else ())},
        "shown_seed": comparison.seeds[0],
        "all_views": list(views.values()),
        "short_names": max(map(len, comparison.dataset["class_names"])) <= 2,
        "activations": [
            {
                "name": activation,
                "views": [views[c.number] for c in comparison.of(activation)],
                "map_limits": pictures.map_limits(activation),
                "has_maps": any(views[c.number].class_map for c in comparison.of(activation)),
                "parts": parts,
            }
            for activation in comparison.activations
        ],
    }


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
