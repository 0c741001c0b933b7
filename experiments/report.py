"""`python -m experiments.report FOLDER`: one page that compares all runs of a folder, and says why.

The page is one file that opens anywhere, with no network; making it needs no TensorFlow. Beside
it lie `results.csv` and `results.json`, one row per run.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import math
import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from experiments.combinations import VARIABLE
from experiments.report_data import (
    TUNING,
    Combination,
    Comparison,
    ReportError,
    Run,
    mean_and_spread,
    ranking,
    read_comparison,
    rows,
    same_start,
    varied_options,
)
from lenet import cli, registry
from lenet.config import TrainConfig
from lenet.diagnosis import RULES, Finding

HERE = Path(__file__).parent
NO_VALUE = "–"
DASHES = {"-": "none", "--": "7 4", ":": "2 3", "-.": "8 3 2 3"}
PLOTS = {
    "curves": "learning curves",
    "gradients": "gradient norms",
    "activity": "saturated and dead",
}
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
        "are the same, the layer has not moved; a wide shape means large weights.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of the leader board; `first` is the order that the first click sorts by."""

    name: str
    title: str
    first: str = "ascending"
    numeric: bool = True


COLUMNS = (
    Column("rank", "ties share a rank and are marked ="),
    Column("combination", "activation · optimizer", numeric=False),
    Column("test accuracy", "at the end, mean ± standard deviation over seeds", "descending"),
    Column("test loss", "at the end, in nats, mean over seeds"),
    Column("learning rate", "size of the updates"),
    Column("seconds per epoch", "training, evaluation and logging"),
    Column("epochs to 95 %", "until an evaluation first gave 95 % test accuracy"),
    Column("epochs to 98 %", "until an evaluation first gave 98 % test accuracy"),
    Column("seeds", "finished runs", "descending"),
    Column("diagnosis", "what the rules found", numeric=False),
)


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by ("" stays below)."""

    text: str
    value: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program: 0 where a page was written, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m experiments.report", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the runs, e.g. summary_logs/demo")
    parser.add_argument("--output", type=Path, help="the page (default: FOLDER/report.html)")
    options = parser.parse_args(arguments)
    try:
        print(f"Report  {write_report(options.folder, options.output)}")
    except (ReportError, OSError) as error:
        cli.fail(error)
    return 0


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
    page = render(comparison, output)
    found = rows(comparison)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    output.parent.mkdir(parents=True, exist_ok=True)
    _replace(output.with_name("results.csv"), text.getvalue())
    _replace(output.with_name("results.json"), json.dumps(found, indent=1) + "\n")
    _replace(output, page)
    return output


def render(comparison: Comparison, output: Path) -> str:
    """The page as HTML; every text is escaped, and a policy forbids whatever is not the page's own."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from experiments.report_pictures import Pictures
    from lenet.figures.comparison import look

    environment = Environment(
        autoescape=True, loader=FileSystemLoader(HERE), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    pictures = Pictures(comparison)
    views = {c.number: pictures.views(c) for c in comparison.combinations}
    board = [
        _Row(combination, _cells(comparison, rank, shared, combination))
        for rank, shared, combination in ranking(comparison.combinations)
    ]
    # Browsers hash the script as it stands in the page: not a character may be added to it.
    script = (HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (HERE / "report.css").read_text()
    command = comparison.grid.get("command") or ""
    command = shlex.join(command) if isinstance(command, list) else str(command)
    films = [view.film for view in views.values() if view.film]
    layer = pictures.feature_layer
    again = [cli.python_command(), "-m", "experiments.report", str(comparison.folder)]
    return environment.get_template("report.html").render(
        policy="default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup(style),
        script=Markup(script),
        title=f"Comparison: {comparison.folder.resolve().name}",
        question=_question(comparison),
        answers=_answers(comparison),
        facts=_facts(comparison),
        fairness=_fairness(comparison, pictures.probe_images),
        command=command,
        notes=_notes(comparison),
        columns=COLUMNS,
        board=board,
        board_caption=_board_caption(comparison),
        color=pictures.color,
        looks={
            variant: (look(k)[0], DASHES[look(k)[1]])
            for k, variant in enumerate(comparison.variants)
        },
        most_seeds=comparison.most_seeds,
        diagnoses=[_diagnosis(c, bool(pictures.steps)) for c in comparison.combinations],
        phrases=_phrases,
        steps=pictures.steps,
        steps_per_epoch=comparison.runs[0].record.steps_per_epoch,
        film_reaches={n: pictures.reaches[n] for n in (films[0].layers if films else ())},
        shown_seed=comparison.seeds[0],
        all_views=list(views.values()),
        short_names=max(map(len, comparison.dataset["class_names"])) <= 2,
        activations=[
            {
                "name": activation,
                "curves": pictures.curves(activation),
                "views": [views[c.number] for c in comparison.of(activation)],
                "map_limits": pictures.map_limits(activation),
                "parts": [
                    {"kind": kind, "heading": heading.format(layer=layer), "caption": caption}
                    for kind, (heading, caption) in PARTS.items()
                ],
            }
            for activation in comparison.activations
        ],
        rules=RULES,
        repeat=command,
        again=shlex.join(again + (["--output", str(output)] if output.parent != comparison.folder else [])),
    )  # fmt: skip


@dataclass(frozen=True)
class _Row:
    combination: Combination
    cells: Sequence[Cell]


def _question(comparison: Comparison) -> str:
    model = {"lenet": "LeNet"}.get(comparison.runs[0].config.model, comparison.runs[0].config.model)
    name = _dataset_title(comparison)
    several = []
    if len(comparison.activations) > 1:
        several.append("which activation")
    if len({run.config.optimizer for run in comparison.runs}) > 1:
        several.append("which optimizer")
    varied = varied_options([run.config for run in comparison.runs])
    several += [f"which {option.replace('_', ' ')}" for option in varied]
    if not several:
        return f"How does {model} learn {name} with {comparison.combinations[0].label}?"
    words = " and ".join([", ".join(several[:-1]), several[-1]] if several[1:] else several)
    return f"With {words} does {model} learn {name} best, how fast, and why?"


def _answers(comparison: Comparison) -> list[tuple[str, str]]:
    """The outcome in a few sentences, before all numbers: what about, and what."""
    ranked = [entry for entry in ranking(comparison.combinations) if entry[0] is not None]
    if not ranked:
        return [("", "No run has finished yet: there is nothing to rank.")]
    best = ranked[0][2]
    record = best.done[0].record
    share = _accuracy(comparison, best)
    after = record.epochs(record.step)
    label = "Best" if len(ranked) > 1 else "Outcome"
    answers = [(label, f"{best.label}, {share} of the test images right after {after}.")]
    tied = [c.label for rank, _, c in ranked[1:] if rank == 1]
    if tied:
        few = (
            " Two tell little: a third seed narrows it down." if comparison.most_seeds == 2 else ""
        )
        count = comparison.most_seeds
        answers.append(("Tied with it", f"{_join(tied)}, as far as {count} seeds can tell.{few}"))
    for threshold in (0.98, 0.95) if len(ranked) > 1 else ():
        times = {c.label: _epochs_to(c, threshold) for _, _, c in ranked}
        reached = {name: mean for name, (mean, by_all) in times.items() if by_all}
        if reached:
            least = min(reached.values())
            fastest = _join([name for name, mean in reached.items() if mean == least])
            unit = "epoch" if least == 1 else "epochs"
            label = f"First at {100 * threshold:.0f} %"
            answers.append((label, f"{fastest}, after {least:.3g} {unit}."))
            break
    hopeless = ("diverged", "failed", "not begun", "thrown off")
    troubled = [
        f"{combination.label} ({found[0].verdict})"
        for combination in comparison.combinations
        if (found := [f for f in _all_findings(combination) if f.rule in hopeless])
    ]
    if troubled:
        answers.append(("In trouble", f"{_join(troubled)}."))
    return answers


def _facts(comparison: Comparison) -> dict[str, str]:
    dataset, every = comparison.dataset, comparison.runs
    shape = "×".join(map(str, dataset.get("image_shape", [])))
    names = [str(name) for name in dataset["class_names"]]
    listed = ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:10])}, …"
    environment = every[0].environment
    others = len({json.dumps(run.environment, sort_keys=True) for run in every}) > 1
    versions = ", ".join(
        f"{title} {environment[key]}"
        for key, title in {
            "python": "Python", "tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy",
        }.items()
        if key in environment
    )  # fmt: skip
    epochs = sorted({run.config.epochs or 0 for run in every})
    batches = sorted({run.config.batch_size or 0 for run in every})
    seeds = comparison.seeds
    facts = {
        "Data set": f"{_dataset_title(comparison)}: {dataset.get('train', 0):,} training and "
        f"{dataset.get('test', 0):,} test images of {shape} pixels",
        "Classes": f"{len(names)}: {listed}",
        "Combinations": f"{len(comparison.combinations)}, "
        + (
            f"seeds {_join([str(s) for s in seeds])}"
            if len(seeds) > 1
            else f"one seed ({seeds[0]})"
        ),
        "Training": f"{_join([str(e) for e in epochs])} epoch{'s' if epochs != [1] else ''}, "
        f"batches of {_join([str(b) for b in batches])}",
        "Machine": f"{environment.get('cpu_model', 'unknown')}, {environment.get('cpus', '?')} CPUs"
        + (" (and others: see config.json of each run)" if others else ""),
        "Versions": versions,
        "Images' sha256": f"{str(dataset['sha256'])[:16]}…",
    }
    if when := comparison.grid.get("when"):
        facts["Made"] = str(when)
    return facts


def _fairness(comparison: Comparison, probe_images: int) -> list[tuple[str, str]]:
    start = same_start(comparison)
    words = "for one seed, every combination starts from the same draw of weights"
    if start is True:
        words += " (checked: the kernels recorded at step 0 are the same, bit for bit)"
    if start is False:
        words = (
            "the runs of one seed did not all start from the same weights, since their models or "
            "initializers differ"
        )
    points = [("Same start:", f"{words}.")]
    batches = {run.config.batch_size for run in comparison.runs}
    words = "the seed alone decides the order of the images in every epoch"
    if len(batches) > 1:
        words += "; their number per update differs, since that is compared"
    points.append(("Same batches:", f"{words}."))
    if probe_images:
        points.append(
            (
                "Same probe images:",
                f"gradients and activations of all runs are measured on the same {probe_images} "
                "training images.",
            )
        )
    points.append(("Learning rates:", _rates(comparison)))
    points.append(
        (
            "Same test:",
            "every accuracy is over all test images, which no choice was made by.",
        )
    )
    return points


def _rates(comparison: Comparison) -> str:
    configs = [run.config for run in comparison.runs]
    tuning = comparison.grid.get(TUNING)
    if isinstance(tuning, Mapping) and tuning:
        edge = [
            name for name, row in tuning.items() if isinstance(row, Mapping) and row.get("at_edge")
        ]
        words = (
            "each combination ran at the best of several rates, chosen by its accuracy on "
            "validation images taken from the training images, never by the test images: "
            + ", ".join(
                f"{name} {row['best']:g}"
                for name, row in tuning.items()
                if isinstance(row, Mapping) and isinstance(row.get("best"), (int, float))
            )
            + "."
        )
        if edge:
            words += f" A better rate may lie beyond those tried for {_join(edge)}."
        return words
    used = {(config.optimizer, config.learning_rate) for config in configs}
    if all(rate == registry.OPTIMIZERS[name]["learning_rate"] for name, rate in used):
        order = [name for name in registry.OPTIMIZERS if name in {name for name, _ in used}]
        rates = ", ".join(f"{n} {registry.OPTIMIZERS[n]['learning_rate']:g}" for n in order)
        return (
            f"each optimizer ran at its default rate ({rates}); none was tuned, and another rate "
            "may change the order. To choose a rate for each, add --tune to the grid."
        )
    return "they were set by hand, as the leader board shows; another rate may change the order."


def _notes(comparison: Comparison) -> list[str]:
    notes = list(comparison.notes)
    if not comparison.grid:
        notes.append(
            "This folder has no grid.json: it was not made by one grid command, and all is taken "
            "from the runs themselves."
        )
    unfinished = Counter(run.state for run in comparison.runs if run.state != "done")
    if unfinished:
        states = _join([f"{count} {state}" for state, count in sorted(unfinished.items())])
        notes.append(
            f"Of {len(comparison.runs)} runs {states}: the leader board counts finished runs alone."
        )
    without = [r.folder.name for r in comparison.runs if not r.inspection_steps()]
    if without:
        shown = _join(without[:4]) + (f" and {len(without) - 4} more" if len(without) > 4 else "")
        notes.append(
            f"No inspections in {shown}: of these runs no kernels, maps or gradients can be shown."
        )
    if comparison.most_seeds == 1:
        notes.append(
            "One seed only: no spread is known, and a small difference may be chance. With "
            "--seeds 0 1 2 the report tells ties from differences."
        )
    return notes


def _cells(
    comparison: Comparison, rank: int | None, shared: bool, combination: Combination
) -> list[Cell]:
    accuracy, _ = mean_and_spread(combination.values("test_accuracy"))
    loss, _ = mean_and_spread(combination.values("test_loss"))
    seconds, _ = mean_and_spread(combination.values("seconds_per_epoch"))
    rates = sorted({run.config.learning_rate or 0 for run in combination.runs})
    done, count = len(combination.done), len(combination.runs)
    states = Counter(run.state for run in combination.runs if run.state != "done")
    seeds = str(done) if done == count else f"{done} of {count}"
    if states:
        seeds += f" ({', '.join(f'{n} {state}' for state, n in states.items())})"
    return [
        Cell(NO_VALUE if rank is None else f"{'=' if shared else ''}{rank}", _value(rank)),
        Cell(combination.label, combination.label),
        Cell(_accuracy(comparison, combination), _value(accuracy)),
        _number(loss, "{:.3f}"),
        Cell(" or ".join(f"{rate:g}" for rate in rates), _value(rates[0])),
        _number(seconds, "{:.1f}"),
        *(_reached(combination, threshold) for threshold in (0.95, 0.98)),
        Cell(seeds, str(done)),
        Cell(", ".join(_verdicts(combination)), ", ".join(_verdicts(combination))),
    ]


def _accuracy(comparison: Comparison, combination: Combination) -> str:
    """Mean ± standard deviation; what a run had reached so far where none has finished."""
    mean, spread = mean_and_spread(combination.values("test_accuracy"))
    digits = 2 if comparison.dataset.get("test", 0) >= 5_000 else 1
    if math.isnan(mean):
        so_far = [run.test_accuracy for run in combination.runs if run.state == "running"]
        so_far = [value for value in so_far if math.isfinite(value)]
        return f"{100 * so_far[0]:.{digits}f} % so far" if so_far else NO_VALUE
    if spread is None:
        return f"{100 * mean:.{digits}f} %"
    return f"{100 * mean:.{digits}f} ± {100 * spread:.{digits}f} %"


def _epochs_to(combination: Combination, threshold: float) -> tuple[float, bool]:
    """Mean epochs of those runs that got there, and whether all did."""
    reached = [run.epochs_to(threshold) for run in combination.done]
    times = [value for value in reached if math.isfinite(value)]
    return mean_and_spread(times)[0], bool(times) and len(times) == len(reached)


def _reached(combination: Combination, threshold: float) -> Cell:
    mean, all_of_them = _epochs_to(combination, threshold)
    if math.isnan(mean):
        return Cell(NO_VALUE, "")
    if all_of_them:
        return Cell(f"{mean:.3g}", _value(mean))
    count = sum(math.isfinite(run.epochs_to(threshold)) for run in combination.done)
    return Cell(f"{mean:.3g} ({count} of {len(combination.done)})", _value(mean))


def _board_caption(comparison: Comparison) -> str:
    caption = "Click a heading to sort. "
    if comparison.most_seeds > 1:
        caption += (
            "± is the standard deviation over seeds. Combinations marked = share a rank: their "
            "difference to the best of that rank is smaller than the half width of its 95 % "
            "interval (Welch's t) over the seeds, so these runs do not tell which is better. With "
            "few seeds that interval is wide. "
        )
    caption += (
        "Accuracy is looked at when a run evaluates, by default once an epoch, so epochs to 95 % "
        "and 98 % are as coarse as that; a dash means not reached. Seconds per epoch include "
        "evaluation and logging and compare only between runs made side by side in the same way."
    )
    return caption


def _all_findings(combination: Combination) -> list[Finding]:
    """What was found in any run, each rule once, in the words of the first run it holds for.

    Where a rule finds something wrong in one run and worth a note in another, the former counts.
    What is wrong comes first, then what is right, then notes.
    """
    found: dict[str, Finding] = {}
    for finding in (finding for run in combination.runs for finding in run.findings):
        if finding.rule not in found or finding.wrong > found[finding.rule].wrong:
            found[finding.rule] = finding
    order = list(RULES)

    def place(finding: Finding) -> tuple[int, int]:
        kind = 0 if finding.wrong else 1 if finding.rule == "healthy" else 2
        return kind, order.index(finding.rule)

    return sorted(found.values(), key=place)


def _verdicts(combination: Combination) -> list[str]:
    found = _all_findings(combination)
    wrong = [finding.verdict for finding in found if finding.wrong]
    return wrong or [f.verdict for f in found if f.rule in ("healthy", "unmeasured")] or [NO_VALUE]


def _diagnosis(combination: Combination, inside: bool) -> dict[str, Any]:
    found, count = [], len(combination.runs)
    for finding in _all_findings(combination):
        holders = [
            run
            for run in combination.runs
            if any((f.rule, f.wrong) == (finding.rule, finding.wrong) for f in run.findings)
        ]
        page_has = finding.plot == "curves" or inside
        target = f"{finding.plot}-c{combination.number}"
        found.append(
            {
                "sentence": finding.sentence,
                "seeds": "" if len(holders) == count else f"{len(holders)} of {count} seeds",
                "plot": PLOTS[finding.plot if page_has else "curves"],
                "target": f"curves-{combination.activation}"
                if finding.plot == "curves" or not page_has
                else target,
                "advice": finding.advice,
                "command": _command(holders[0], finding) if finding.wrong else "",
            }
        )
    wrong = any(f.wrong for f in _all_findings(combination))
    known = any(run.done or run.state == "diverged" for run in combination.runs)
    return {
        "combination": combination,
        "verdict": ", ".join(_verdicts(combination)),
        "mood": "wrong" if wrong else "right" if known else "open",
        "findings": found,
    }


def _command(run: Run, finding: Finding) -> str:
    """What to type to try a finding's advice."""
    words = [cli.python_command(), "-m", "lenet.train"]
    if finding.rule == "failed":
        return shlex.join([*words, "--resume", str(run.folder)])
    changes = dict(finding.changes)
    if "optimizer" in changes:
        changes["learning_rate"] = None
    if "activation" in changes and run.config.fc2_activation == run.config.activation:
        changes["fc2_activation"] = None
    name = str(run.dataset["name"])
    advised = replace(run.config, **changes).resolved(name)
    usual = TrainConfig(
        activation=advised.activation, optimizer=advised.optimizer, init=advised.init
    )
    usual = usual.resolved(name)
    if run.config.data_dir is not None:
        words += ["--data-dir", _short_path(run.config.data_dir)]
    elif name in registry.KNOWN_DATASETS:
        words += ["--dataset", name]
    order = [f.name for f in fields(TrainConfig) if f.name in VARIABLE]
    for option in order:
        value = getattr(advised, option)
        if option in ("activation", "optimizer") or value != getattr(usual, option):
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            words += [f"--{option.replace('_', '-')}", shown]
        elif option in changes and changes[option] is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _phrases(command: str) -> list[str]:
    """A command in parts to break lines between: an option stays with its value."""
    phrases: list[str] = []
    for word in command.split():
        previous = phrases[-1] if phrases else "-"
        if word.startswith("-") or " " in previous or not previous.startswith("--"):
            phrases.append(word)
        else:
            phrases[-1] = f"{previous} {word}"
    return phrases


def _short_path(path: Path) -> str:
    """The shorter of a path and its way from here."""
    return min(os.path.relpath(path), str(path), key=len)


def _dataset_title(comparison: Comparison) -> str:
    name = str(comparison.dataset["name"])
    known = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "digits": "the bundled digits"}
    return known.get(name, name)


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _value(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else repr(number)


def _number(number: float, form: str) -> Cell:
    return Cell(NO_VALUE if math.isnan(number) else form.format(number), _value(number))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
