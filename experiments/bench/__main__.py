"""`python -m experiments.bench`: reads the command line, measures the parts, and saves the results."""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.bench import (
    chart,
    grid,
    growth,
    inspector,
    job,
    live,
    operations,
    results,
    start,
    target,
    train,
)
from experiments.bench.options import Options
from experiments.bench.rounds import Answer, ContestantError
from lenet import cli, files, registry

PROG = "python -m experiments.bench"
DESCRIPTION = (
    "Measures how fast lenet is, compared with other programs that do the same. After a warm-up, "
    "the contestants take turns, so that a change in the speed of the machine affects all of them. "
    "Compare the ratios, not the seconds. Writes bench.json (all raw times, ratios, versions) and "
    "bench.png (a chart). The exit code is 1 if a contestant failed or learns differently from the "
    "others."
)
PARTS: dict[str, tuple[Callable[[Options], Answer], str]] = {
    "start": (start.measure, "seconds to --help and to the first step, and memory"),
    "train": (
        train.measure_training,
        "training, compared with model.fit, a plain loop and PyTorch",
    ),
    "operations": (operations.measure, "the operations that take the time of a training step"),
    "looking": (train.measure_looking, "training with the same things logged"),
    "job": (job.measure, "from process start to the finished run, compared with a homework script"),
    "target": (target.measure, "from process start to 99 % of MNIST's test images"),
    "grid": (grid.measure, "eight runs with two workers"),
    "inspector": (
        inspector.measure,
        "model.fit with lenet.Inspector, compared with model.fit alone",
    ),
    "live": (live.measure, "how fast the page of lenet.live answers a stroke, in Chromium"),
    "growth": (growth.measure, "speed, memory and event files as epochs, images and batches grow"),
}
QUICK_PARTS = ("start", "train", "looking")
# These parts can measure any model, not only LeNet on MNIST.
ANY_MODEL_PARTS = ("start", "train", "operations", "looking", "growth")
BATCH_SIZES, QUICK_BATCH_SIZES = (32, 100, 128, 512), (128,)
ACTIVATIONS, QUICK_ACTIVATIONS = ("relu", "sigmoid"), ("relu",)
HELP_WIDTH = 80
OUTPUT = "summary_logs/bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        arguments: the arguments after the program's name; default: those of this process.

    Returns:
        0 if everything was measured; 1 if a contestant failed, or if the contestants' losses differ.

    Raises:
        SystemExit: `--help` (0), or a user error (2).
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parts, options, output = _parse(arguments)
    command = f"{cli.python_command()} -m experiments.bench {shlex.join(arguments)}".strip()
    shared = {"model": options.model, "image_size": options.image_size, "rounds": options.rounds}
    measured = results.new(command, options.quick, shared)
    try:
        files.make_folder(output, "the results", "choose another folder with --output")
        if options.data_dir is not None:  # The other programs would not say which file is damaged.
            options.settings().dataset()
        print(results.environment(measured), flush=True)
        for name in parts:
            _measure(name, options, measured)
            files.write_json(output / "bench.json", measured)
        files.write(output / "bench.png", chart.draw(measured))
    except (ValueError, OSError) as error:
        cli.fail(error)
    print(f"\nResults: {output / 'bench.json'} and {output / 'bench.png'}")
    for refusal in measured["refused"]:
        print(refusal, file=sys.stderr)
    return 1 if measured["refused"] else 0


def _measure(name: str, options: Options, measured: Answer) -> None:
    """Measures one part and prints it. What had to be refused does not stop the other parts."""
    measure, words = PARTS[name]
    print(f"\n{name}: {words}", flush=True)
    try:
        part = measure(options)
    except ContestantError as error:
        measured["refused"].append(f"{name}: {error}")
        return
    measured["parts"][name] = part
    measured["refused"] += [f"{name}: {refusal}" for refusal in part.get("refused", [])]
    print("\n".join(results.lines(part)), flush=True)


def _parse(arguments: Sequence[str]) -> tuple[list[str], Options, Path]:
    """The parts to measure, the options, and the folder for the results."""
    parser = _parser()
    given = parser.parse_args(arguments)
    usual = QUICK_PARTS if given.quick else tuple(PARTS)
    if given.model != "lenet":
        usual = ("train",)
    parts = list(dict.fromkeys(given.parts or usual))
    for part in parts:
        if part not in PARTS:
            parser.error(f"Expected PART to be one of {', '.join(PARTS)}. Received: {part!r}")
        if given.model != "lenet" and part not in ANY_MODEL_PARTS:
            parser.error(f"Expected no --model with the part {part}. Its networks are fixed.")
    numbers = [*(given.batch_sizes or []), given.rounds or 1, given.image_size or 1]
    if min(numbers) < 1 or given.rounds == 0 or given.image_size == 0:
        parser.error("Expected --batch-sizes, --rounds and --image-size to be at least 1.")
    quick = given.quick
    return (
        parts,
        Options(
            quick=quick,
            rounds=given.rounds,
            model=given.model,
            image_size=given.image_size,
            data_dir=given.data_dir,
            batch_sizes=tuple(given.batch_sizes or (QUICK_BATCH_SIZES if quick else BATCH_SIZES)),
            activations=tuple(given.activations or (QUICK_ACTIVATIONS if quick else ACTIVATIONS)),
        ),
        given.output,
    )


def _parser() -> argparse.ArgumentParser:
    """The options as `--help` shows them."""
    parser = cli.ArgumentParser(
        prog=PROG,
        description=textwrap.fill(DESCRIPTION, HELP_WIDTH),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="parts:\n" + "\n".join(f"  {name:11}{words}" for name, (_, words) in PARTS.items()),
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"what to measure (default: all; with --quick {', '.join(QUICK_PARTS)})",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a rough result in about a minute, with fewer contestants, rounds and images",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(OUTPUT),
        help=f"folder for the results (default: {OUTPUT})",
    )
    parser.add_argument("--data-dir", type=Path, help="images to train on, as in lenet.train")
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"number of rounds after the warm-up (default: {train.ROUNDS}; "
        f"job, target: {job.ROUNDS}; grid: {grid.ROUNDS}; live: {live.ROUNDS} drawings)",
    )
    parser.add_argument(
        "--model", choices=registry.MODELS, default="lenet", help="the network (default: lenet)"
    )
    parser.add_argument(
        "--image-size", type=int, help="size of the images in pixels, for a folder of photos"
    )
    parser.add_argument(
        "--batch-sizes",
        type=int,
        nargs="+",
        help=f"batch sizes for the part train (default: {_listed(BATCH_SIZES)})",
    )
    parser.add_argument(
        "--activations",
        nargs="+",
        choices=registry.ACTIVATIONS,
        metavar="ACTIVATION",
        help=f"activations for the part train (default: {_listed(ACTIVATIONS)})",
    )
    return parser


def _listed(values: Sequence[object]) -> str:
    return " ".join(map(str, values))


if __name__ == "__main__":
    cli.run(main)
