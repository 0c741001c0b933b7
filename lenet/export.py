"""`python -m lenet.export RUN`: saves a trained network for programs without this package."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from lenet import cli, files
from lenet.recording import runs

if TYPE_CHECKING:  # Imported when they are first needed, so that `--help` appears quickly.
    import numpy as np

    from lenet.analysis.trained import TrainedRun

DESCRIPTION = (
    "Saves a trained network for programs that do not have this package. The input of each file is "
    "images as they are, uint8 [n, height, width, channels]. The scaling to 0–1 and the mean are part "
    "of the network. The output is the probability of each class."
)
Format = Literal["keras", "savedmodel", "tflite", "onnx"]
FOLDER, LABELS = "export", "labels.txt"
WHAT, REMEDY = "the network", "choose a different folder with --output"
ONNX_PACKAGES = ("tf2onnx", "onnxruntime")
NUM_COMPARED = 1_000
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Options:
    """The options of `lenet.export`.

    Attributes:
        run: The run's folder, e.g. summary_logs/<run>.
        format: The formats. keras: for Keras, with any backend; savedmodel: for TensorFlow and
            TensorFlow Serving; tflite: for phones and small computers; onnx: for ONNX Runtime and
            many others (needs more packages: pip install tf2onnx onnxruntime).
        output: The folder for the files.
        data_dir: The path of the run's images, if they have been moved.
    """

    run: Annotated[Path, arg(metavar="RUN")]
    format: Annotated[tuple[Format, ...], arg(metavar="{keras,savedmodel,tflite,onnx} …")] = (
        "keras",
        "savedmodel",
        "tflite",
    )
    output: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint=f"(default: RUN/{FOLDER})")
    ] = None
    data_dir: Annotated[
        Path | None, arg(metavar="PATH", help_behavior_hint="(default: the path used in training)")
    ] = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Returns:
        0, or 1 if a file does not give the same answers as the network.

    Raises:
        SystemExit: after a user error (exit code 2) or `--help` (0).
    """
    try:
        options = cli.parse(Options, arguments, "python -m lenet.export", DESCRIPTION)
        return export(options)
    except KeyboardInterrupt:
        print("Interrupted. The files written so far are complete.", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        cli.fail(error)


def export(options: Options) -> int:
    """Writes the network in each format, and compares each file with the network; see `main`.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: the run cannot be used, or a format needs a package that is not installed.
        OSError: the files cannot be written.
    """
    runs.read_config(options.run)
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if "onnx" in options.format and missing:
        raise ValueError(f"--format onnx needs more packages: pip install {' '.join(missing)}")
    folder = options.output or options.run / FOLDER
    files.make_folder(folder, WHAT, REMEDY)
    from lenet.training.runtime import quiet_stderr, start_tensorflow

    print("Loading TensorFlow …", flush=True)
    start_tensorflow(lean=True)
    from lenet.analysis.trained import load_run, predict, softmax
    from lenet.networks.exports import FORMATS
    from lenet.networks.portable import portable

    run = load_run(options.run)
    for skipped in run.skipped:
        _note(f"skipped a damaged checkpoint: {skipped}")
    images = _test_images(run, options.data_dir)
    expected = softmax(predict(run.model, images)[0])
    made = portable(run.model, run.image_shape)
    files.write(folder / LABELS, "".join(f"{name}\n" for name in run.class_names))
    print(f"{'labels':<10}  {folder / LABELS}")
    same = True
    for name in dict.fromkeys(options.format):
        file, write, load = FORMATS[name]
        with quiet_stderr():  # The converters print a lot.
            write(made, folder / file, run.class_names)
            difference = float(abs(load(folder / file)(images) - expected).max())
        same = same and difference <= TOLERANCE  # Not true for NaN either.
        print(
            f"{name:<10}  {folder / file}  {_size(folder / file):,} bytes, largest difference of a "
            f"probability {difference:.1e}"
        )
    print(f"Compared with the network on {len(images):,} images.")
    if not same:
        _note(f"a difference is larger than {TOLERANCE:g}. Do not use that file.")
        return 1
    return 0


def _test_images(run: TrainedRun, data_dir: Path | None) -> np.ndarray:
    """Up to 1,000 test images. If they are not found, random images, and a note."""
    import numpy as np

    try:
        return run.load_dataset(data_dir).test.images[:NUM_COMPARED]
    except (FileNotFoundError, ValueError) as error:
        if data_dir is not None:
            raise
        _note(f"the files are compared on random images, because {cli.describe(error)}")
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (NUM_COMPARED, *run.image_shape), dtype=np.uint8)


def _size(path: Path) -> int:
    """The size of a file, or of all files in a folder, in bytes."""
    found = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in found)


def _note(text: str) -> None:
    print(f"Note: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.run(main)
