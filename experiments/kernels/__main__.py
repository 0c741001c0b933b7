"""`python -m experiments.kernels IMAGE`: reads the command line, draws, and writes the figure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from lenet import cli, files

DESCRIPTION = (
    "Shows what convolution and pooling do to an image, before any learning. The figure shows four "
    "fixed 7x7 kernels (horizontal edge, vertical edge, blur, sharpen) with their results, and "
    "max pooling with both kinds of padding."
)
FORMATS = ("png", "svg", "pdf")
MINIMUM_DPI, MAXIMUM_DPI = 10, 1000


@dataclass(frozen=True)
class Options:
    """The options of `experiments.kernels`.

    Attributes:
        image: A photo or drawing: PNG, JPEG, WebP, BMP, GIF or TIFF.
        output: The file for the figure, ending in .png, .svg or .pdf.
        dpi: Dots per inch. The figure is 14 inches wide.
    """

    image: Annotated[Path, tyro.conf.arg(metavar="IMAGE")]
    output: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="PATH", help_behavior_hint="(default: kernels-<image>.png in this folder)"
        ),
    ] = None
    dpi: int = 100

    def target(self) -> Path:
        """The file to write.

        Raises:
            ValueError: the file has the wrong format or is the image itself, or `dpi` is out of
                its range.
        """
        target = self.output or Path(f"kernels-{self.image.stem}.png")
        if not MINIMUM_DPI <= self.dpi <= MAXIMUM_DPI:
            raise ValueError(
                f"Expected dpi to be from {MINIMUM_DPI} to {MAXIMUM_DPI:,}. "
                f"Received: dpi={self.dpi}"
            )
        if target.suffix.lower().removeprefix(".") not in FORMATS:
            raise ValueError(
                f"Expected output to be a file ending in .{', .'.join(FORMATS)}. "
                f"Received: output={str(self.output)!r}"
            )
        if target.resolve() == self.image.resolve():
            raise ValueError(f"{target} is the image itself. Choose a different --output.")
        return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. A user error ends the program with exit code 2."""
    try:
        options = cli.parse(Options, arguments, "python -m experiments.kernels", DESCRIPTION)
        target = options.target()
        # Imported only now, so that --help is fast. These two import matplotlib and scipy.
        from experiments.kernels.figure import draw
        from experiments.kernels.filters import read_gray

        figure = draw(read_gray(options.image))
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=options.dpi, format=target.suffix[1:].lower())
        target.parent.mkdir(parents=True, exist_ok=True)
        files.write(target, drawn.getvalue())
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        cli.fail(error)
    print(target)
    return 0


if __name__ == "__main__":
    cli.run(main)
