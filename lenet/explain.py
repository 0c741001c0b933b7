"""`python -m lenet.explain RUN PICTURE`: one's own picture, layer by layer, to the answer."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from lenet import cli
from lenet.data.preparation import Prepared, Way, prepare, read_picture
from lenet.recording import runs

if TYPE_CHECKING:  # Imported where they are first needed, so that `--help` answers in a blink.
    import numpy as np
    from matplotlib.figure import Figure

    from lenet.analysis.insight import Insight
    from lenet.analysis.trained import TrainedRun
    from lenet.registry import Resize

DESCRIPTION = (
    "Shows a trained network one picture of your own, e.g. a photographed digit, and draws "
    "what every layer makes of it."
)
LEAST_DPI, MOST_DPI = 10, 1000
FORMATS = ("png", "svg", "pdf")
BAR = 30  # Characters, for a probability of 1.
PATCHES = 4  # How many occluding patches side by side span an image.
NAME_LENGTH = 60
WORTH_NAMING = 0.05  # From this probability on the second best answer is said too.


@dataclass(frozen=True)
class Options:
    """What `lenet.explain` can be told.

    Attributes:
        run: The run's folder, e.g. summary_logs/<run>.
        picture: A photograph or drawing: PNG, JPEG, WebP or BMP.
        output: The figure's file. Default: RUN/figures/explain-<picture>.<format>.
        occlusion: Also hide a part of the image at a time and draw what that does to the answer.
        gradient: Also draw which pixels the answer's logit changes with.
        prepare: How the picture becomes an image for the network: drawing, as MNIST was made;
            photo, the middle, scaled; auto, by what the run was trained on.
        format: The figure's format. Default: by the name of --output, else png.
        dpi: Dots per inch; the figure is 12 inches wide.
    """

    run: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    picture: Annotated[Path, tyro.conf.arg(metavar="PICTURE")]
    output: Path | None = None
    occlusion: bool = False
    gradient: bool = False
    prepare: Way = "auto"
    format: Literal["png", "svg", "pdf"] | None = None
    dpi: int = 100

    def target(self) -> Path:
        """The file to write.

        Raises:
            ValueError: its name does not say its format, says another, or is the picture's own.
        """
        if self.output is None:
            name = f"explain-{self.picture.stem}.{self.format or FORMATS[0]}"
            return self.run / runs.FIGURES / name
        suffix = self.output.suffix.lower().removeprefix(".")
        if suffix not in FORMATS or self.format not in (None, suffix):
            raise ValueError(
                f"Expected output to be a file ending in .{self.format or ', .'.join(FORMATS)}. "
                f"Received: output={str(self.output)!r}"
            )
        if self.output.exists() and self.output.samefile(self.picture):
            raise ValueError(f"{self.output} is the picture itself: give --output another name.")
        return self.output


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; a user's mistake ends it with exit code 2."""
    try:
        options = tyro.cli(
            Options,
            prog="python -m lenet.explain",
            description=DESCRIPTION,
            args=arguments,
            config=(tyro.conf.PositionalRequiredArgs,),
        )
        target = explain(options)
    except KeyboardInterrupt:
        print("Interrupted: no figure was written.", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        cli.fail(error)
    print(f"Figure  {target}")
    return 0


def explain(options: Options) -> Path:
    """Says what the network takes the picture for, and draws why.

    Returns:
        The figure's file.

    Raises:
        FileNotFoundError: there is no run, or no picture.
        ValueError: an option, the run or the picture is of no use; the message says why.
        OSError: the figure cannot be written.
    """
    if not MOST_DPI >= options.dpi >= LEAST_DPI:
        raise ValueError(
            f"Expected dpi to be from {LEAST_DPI} to {MOST_DPI:,}. Received: dpi={options.dpi}"
        )
    config, dataset = runs.read_config(options.run)
    prepared = _prepare(options, dataset, config.resize)
    target = options.target()
    _check_writable(target.parent)
    from lenet.training.runtime import start_tensorflow

    print("Loading TensorFlow …", flush=True)
    start_tensorflow(lean=True)
    from lenet.analysis.insight import look_inside
    from lenet.analysis.trained import load_run

    run = load_run(options.run)
    for skipped in run.skipped:
        print(f"Note: skipped a damaged checkpoint: {skipped}", file=sys.stderr)
    insight = look_inside(run.model, prepared.image)
    print(f"{options.picture.name}: {_headline(run, insight)}")
    print("\n".join(table(run.class_names, insight.probabilities)))
    _write(_draw(options, run, prepared, insight), target, options.dpi)
    return target


def table(class_names: Sequence[str], probabilities: np.ndarray) -> list[str]:
    """The probabilities of all classes as lines, aligned, with a bar each and a mark at the best."""
    from lenet.figures.explanation import percentage

    width = max(map(len, class_names))
    best = int(probabilities.argmax())
    lines = []
    for place, (name, probability) in enumerate(zip(class_names, probabilities, strict=True)):
        mark = ">" if place == best else " "
        bar = "█" * round(BAR * float(probability))
        lines.append(f"{mark} {name:>{width}}  {percentage(float(probability)):>7}  {bar}".rstrip())
    return lines


def _prepare(options: Options, dataset: dict[str, Any], resize: Resize) -> Prepared:
    """Reads the picture and makes it fit the run's images, naming it where that cannot be."""
    height, width, channels = dataset["image_shape"]
    picture = read_picture(options.picture)
    try:
        return prepare(picture, (height, width, channels), dataset["name"], options.prepare, resize)
    except ValueError as error:
        raise ValueError(f"{options.picture}: {error}") from error


def _short(name: str) -> str:
    """A file's name, the middle of a long one left out."""
    if len(name) <= NAME_LENGTH:
        return name
    return f"{name[: NAME_LENGTH // 2]}…{name[-NAME_LENGTH // 3 :]}"


def _headline(run: TrainedRun, insight: Insight) -> str:
    """The answer in a few words, and the next best where that is not far behind."""
    from lenet.figures.explanation import percentage

    first, second = insight.probabilities.argsort()[::-1][:2].tolist()
    parts = [
        f"{run.class_names[place]} ({percentage(float(insight.probabilities[place]))})"
        for place in (first, second)
        if place == first or insight.probabilities[place] >= WORTH_NAMING
    ]
    return ", or ".join(parts)


def _draw(options: Options, run: TrainedRun, prepared: Prepared, insight: Insight) -> Figure:
    from lenet.analysis.insight import occlude, saliency_of
    from lenet.figures.explanation import explanation

    patch = max(1, min(run.image_shape[:2]) // PATCHES)
    seen = (run.model, prepared.image, insight.predicted)
    return explanation(
        prepared.stages,
        insight.convolutions,
        insight.dense,
        insight.logits,
        insight.probabilities,
        run.class_names,
        headline=f"The network says: {_headline(run, insight)}",
        subtitle=f"{_short(options.picture.name)}, seen by {run.config.model} trained on {run.title}, for "
        f"{run.step:,} steps",
        activations=insight.activations,
        speaks=insight.speaks,
        occlusion=occlude(*seen, patch) if options.occlusion else None,
        patch=patch,
        saliency=saliency_of(*seen) if options.gradient else None,
    )


def _check_writable(folder: Path) -> None:
    """Makes sure a file can be put into a folder, which need not be there, without making it.

    Raises:
        OSError: it cannot; the message says what to do.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _write(figure: Figure, target: Path, dpi: int) -> None:
    """Writes a figure's file, whole or not at all.

    Raises:
        OSError: it cannot be written; the message says what to do.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A file's name may have letters that matplotlib's font has not.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(buffer, format=target.suffix.removeprefix(".").lower(), dpi=dpi)
    temporary = target.with_name(f".writing-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(buffer.getvalue())
        os.replace(temporary, target)
    except OSError as error:
        raise _cannot_write(target.parent, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _cannot_write(folder: Path, error: OSError) -> OSError:
    return OSError(
        f"Cannot write the figure to {folder} ({error.strerror}): name another file with --output."
    )


if __name__ == "__main__":
    sys.exit(main())
