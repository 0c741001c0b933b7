"""Shows the progress of training in a notebook: a live bar, and curves that grow with each epoch."""

from __future__ import annotations

import io
import shlex
import sys
import time
from typing import Any

import numpy as np

from lenet.training.history import History
from lenet.training.progress import Reporter

SECONDS_BETWEEN_BARS, SECONDS_BETWEEN_CURVES = 0.2, 2.0
DPI = 80
BAR = (
    '<div style="font-family: monospace"><progress value="{step}" max="{last_step}" '
    'style="width: 20em"></progress> step {step:,} of {last_step:,} &nbsp; {numbers}</div>'
)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class NotebookReporter(Reporter):
    """Prints lines, and shows a bar and the learning curves below the cell."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        self._curves: Any = None
        self._last_bar = self._last_curves = 0.0
        self._state: dict[str, Any] = {}
        self._newest: tuple[History, int] | None = None

    def start(self, step: int, last_step: int) -> None:
        self._state = {"step": step, "last_step": last_step, "numbers": ""}
        self._bar = _display(self._html())

    def update(self, step: int, loss: float, accuracy: float, images_per_second: float) -> None:
        numbers = (
            f"loss {loss:.4f} &nbsp; accuracy {100 * accuracy:.2f} % &nbsp; "
            f"{images_per_second:,.0f} images/s"
        )
        self._state |= {"step": step, "numbers": numbers}
        if time.monotonic() - self._last_bar >= SECONDS_BETWEEN_BARS:
            self._show_bar()

    def epoch(self, history: History, num_classes: int) -> None:
        self._newest = (history, num_classes)
        if time.monotonic() - self._last_curves >= SECONDS_BETWEEN_CURVES:
            self._show_curves()

    def stop(self) -> None:
        self._show_bar()
        if self._newest is not None:
            self._show_curves()
            run = shlex.quote(str(self._newest[0].run))
            self.line(f"To see everything:  %load_ext tensorboard\n  %tensorboard --logdir {run}")

    def _show_bar(self) -> None:
        self._bar.update(self._html())
        self._last_bar = time.monotonic()

    def _html(self) -> Any:
        from IPython.display import HTML

        return HTML(BAR.format(**self._state))

    def _show_curves(self) -> None:
        """Draws loss and accuracy so far in the place of the last curves."""
        from IPython.display import Image

        from lenet.figures.curves import learning_curves

        assert self._newest is not None
        history, num_classes = self._newest
        steps, losses, accuracies = np.transpose(history.evaluations)
        figure = learning_curves(
            {
                "loss": (history.steps, history.losses),
                "accuracy": (history.steps, history.accuracies),
            },
            {"loss": (steps, losses), "accuracy": (steps, accuracies)},
            num_classes,
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
        image = Image(buffer.getvalue(), format="png")
        if self._curves is None:
            self._curves = _display(image)
        else:
            self._curves.update(image)
        self._last_curves = time.monotonic()


def _display(shown: Any) -> Any:
    """Shows something below the cell. Returns its handle, with which it can be replaced."""
    from IPython.display import display

    return display(shown, display_id=True)
