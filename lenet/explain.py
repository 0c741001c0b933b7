"""`python -m lenet.explain RUN PICTURE`: shows what each layer computes from your own image."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from lenet import cli, files
from lenet.data.preparation import Prepared, Way, few_images, prepare, read_picture
from lenet.recording import runs

if TYPE_CHECKING:  # Imported when they are first needed, so that `--help` appears quickly.
    import numpy as np
    from matplotlib.figure import Figure

    from lenet.analysis.insight import Insight
    from lenet.analysis.trained import TrainedRun
    from lenet.registry import Resize

DESCRIPTION = (
    "Gives your own image, e.g. a photo of a digit, to a trained network and draws what every "
    "layer computes from it."
)
MINIMUM_DPI, MAXIMUM_DPI = 10, 1000
FORMATS = ("png", "svg", "pdf")
BAR_LENGTH = 30  # Characters, for a probability of 1.
PATCHES = 4  # An image is as wide as this many occluding patches.
NAME_LENGTH = 60
SECOND_ANSWER = 0.05  # The second answer is named too if its probability is at least this.
WHAT, REMEDY = "the figure", "choose a different file with --output"


@dataclass(frozen=True)
class Options:
    """The options of `lenet.explain`.

    Attributes:
        run: The run's folder, e.g. summary_logs/<run>.
        picture: A photo or drawing: PNG, JPEG, WebP or BMP. For a network that reads digits: one
            digit, dark on light or light on dark, of any size, on an even background. It is cut out,
            scaled and centred like the training images.
        output: The file for the figure.
        occlusion: Also hide each part of the image in turn, and draw how the answer changes.
        gradient: Also draw how much the logit of the answer changes with each pixel.
        prepare: How the image is prepared for the network. drawing: like the digits of MNIST;
            photo: resized like the photos of the run; auto: the one that fits the run's images.
        format: The format of the figure.
        dpi: Dots per inch. The figure is 12 inches wide.
    """

    run: Annotated[Path, arg(metavar="RUN")]
    picture: Annotated[Path, arg(metavar="PICTURE")]
    output: Annotated[
        Path | None,
        arg(
            metavar="FILE",
            help_behavior_hint=f"(default: RUN/{runs.FIGURES}/explain-<picture>.<format>)",
        ),
    ] = None
    occlusion: bool = False
    gradient: bool = False
    prepare: Way = "auto"
    format: Annotated[
        Literal["png", "svg", "pdf"] | None,
        arg(
            metavar=f"{{{','.join(FORMATS)}}}",
            help_behavior_hint=f"(default: the file extension of --output, or {FORMATS[0]})",
        ),
    ] = None
    dpi: int = 100

    def target(self) -> Path:
        """The file to write.

        Raises:
            ValueError: its suffix is not a format or differs from `format`, or the file is the
                user's image itself.
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
            raise ValueError(
                f"{self.output} is your image itself. Choose a different name for --output."
            )
        return self.output


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. A user error ends it with exit code 2."""
    cli.replace_unprintable()
    try:
        options = cli.parse(Options, arguments, "python -m lenet.explain", DESCRIPTION)
        target = explain(options)
    except KeyboardInterrupt:
        print("Interrupted. No figure was written.", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        cli.fail(error)
    print(f"Figure  {target}")
    return 0


def explain(options: Options) -> Path:
    """Prints the network's answer, and draws how the network computes it.

    Returns:
        The file of the figure.

    Raises:
        FileNotFoundError: there is no run, or no image.
        ValueError: an option, the run or the image cannot be used; the message says why.
        OSError: the figure cannot be written.
    """
    if not MINIMUM_DPI <= options.dpi <= MAXIMUM_DPI:
        raise ValueError(
            f"Expected dpi to be from {MINIMUM_DPI} to {MAXIMUM_DPI:,}. Received: dpi={options.dpi}"
        )
    config, dataset = runs.read_config(options.run)
    prepared = _prepare(options, dataset, config.resize)
    if prepared.drawings > 1:
        print(
            f"Note: {options.picture.name} seems to contain {prepared.drawings} drawings. The network "
            "sees them as one. Give it an image of each.",
            file=sys.stderr,
        )
    target = options.target()
    if options.output is None:
        runs.check_links(options.run)
    files.check_folder(target.parent, WHAT, REMEDY)
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
    if note := few_images(dataset):
        print(f"Note: {note}", file=sys.stderr)
    return target


def table(class_names: Sequence[str], probabilities: np.ndarray) -> list[str]:
    """A line with a bar for the probability of each class; the most probable class is marked."""
    from lenet.figures.single_image import percentage

    width = max(map(len, class_names))
    best = int(probabilities.argmax())
    lines = []
    for label, (name, probability) in enumerate(zip(class_names, probabilities, strict=True)):
        mark = ">" if label == best else " "
        bar = "█" * round(BAR_LENGTH * float(probability))
        lines.append(f"{mark} {name:>{width}}  {percentage(float(probability)):>7}  {bar}".rstrip())
    return lines


def _prepare(options: Options, dataset: dict[str, Any], resize: Resize) -> Prepared:
    """Reads the image and prepares it for the network. Errors name its file."""
    height, width, channels = dataset["image_shape"]
    picture = read_picture(options.picture)
    try:
        return prepare(picture, (height, width, channels), dataset["name"], options.prepare, resize)
    except ValueError as error:
        raise ValueError(f"{options.picture}: {error}") from error


def _short(name: str) -> str:
    """The name of a file. A long name is shown without its middle."""
    if len(name) <= NAME_LENGTH:
        return name
    return f"{name[: NAME_LENGTH // 2]}…{name[-NAME_LENGTH // 3 :]}"


def _headline(run: TrainedRun, insight: Insight) -> str:
    """The answer in a few words, with the second answer if it is probable too."""
    from lenet.figures.single_image import percentage

    first, second = insight.probabilities.argsort()[::-1][:2].tolist()
    parts = [
        f"{run.class_names[label]} ({percentage(float(insight.probabilities[label]))})"
        for label in (first, second)
        if label == first or insight.probabilities[label] >= SECOND_ANSWER
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
        headline=f"The network's answer: {_headline(run, insight)}",
        subtitle=f"{_short(options.picture.name)}, seen by {run.config.model} after {run.step:,} "
        f"steps on {run.title}",
        activations=insight.activations,
        contributions=insight.contributions,
        occlusion=occlude(*seen, patch) if options.occlusion else None,
        patch=patch,
        saliency=saliency_of(*seen) if options.gradient else None,
    )


def _write(figure: Figure, target: Path, dpi: int) -> None:
    """Writes the file of a figure.

    Raises:
        OSError: it cannot be written. The message says what to do.
    """
    from lenet.figures.saving import encode

    with warnings.catch_warnings():
        # A file name may contain letters that are missing from matplotlib's font.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        content = encode(figure, target.suffix.removeprefix(".").lower(), dpi)
    files.make_folder(target.parent, WHAT, REMEDY)
    files.write(target, content)


if __name__ == "__main__":
    cli.run(main)
