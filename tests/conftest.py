"""What the tests share: small data sets, runs in this process, and the command line."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from experiments.bench import live
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset, Split, fingerprint, load_dataset
from lenet.recording import runs
from lenet.training.progress import Reporter

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from selenium.webdriver import Chrome

    from lenet.training.trainer import Trainer

ROOT = Path(__file__).resolve().parent.parent
MNIST = ROOT.parent / "shared" / "mnist"


def pytest_configure(config: pytest.Config) -> None:
    """Some tests talk to servers of their own on this machine: never through a proxy."""
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session", autouse=True)
def tensorflow_as_on_the_command_line() -> None:
    """Gives TensorFlow the threads a run has, where the collected tests import it at all."""
    if "tensorflow" in sys.modules:
        from lenet.training.runtime import start_tensorflow

        start_tensorflow()


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The four IDX files of MNIST, which no clone brings along."""
    if not MNIST.is_dir():
        pytest.skip("needs the MNIST files in ../shared/mnist, beside the repository")
    return MNIST


def make_split(size: int, pixels: int, channels: int, classes: int, seed: int) -> Split:
    """Noise in which the column that is bright tells the class: easy, but not at once."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(size) % classes).astype(np.int32)
    images = rng.integers(0, 200, (size, pixels, pixels, channels), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, label * pixels // classes] = 255
    return Split(images, labels)


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Dataset]:
    """Makes a small data set; by default 70 training images, so that the last batch is smaller."""

    def make(
        train: int = 70,
        test: int = 30,
        pixels: int = 12,
        channels: int = 1,
        classes: int = 3,
        name: str = "tiny",
    ) -> Dataset:
        splits = [make_split(n, pixels, channels, classes, n) for n in (train, test)]
        names = tuple("abcdefghij"[:classes])
        return Dataset(name, *splits, names, fingerprint(*splits))

    return make


@pytest.fixture(scope="session")
def tiny(make_dataset: Callable[..., Dataset]) -> Dataset:
    """70 training images of 12x12 pixels and 30 test images, three classes."""
    return make_dataset()


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The bundled digits: 797 to train on, 1,000 to test on."""
    return load_dataset("digits")


@pytest.fixture(scope="session")
def save_npz() -> Callable[[Path, Dataset], Path]:
    """Writes a data set as the one .npz file that `--data-dir` takes."""

    def save(path: Path, dataset: Dataset) -> Path:
        np.savez(
            path,
            x_train=dataset.train.images,
            y_train=dataset.train.labels,
            x_test=dataset.test.images,
            y_test=dataset.test.labels,
        )
        return path

    return save


class Notes(Reporter):
    """Keeps what a run says, instead of printing it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def notes() -> Notes:
    """A reporter whose lines and warnings a test can read."""
    return Notes()


@pytest.fixture(scope="session")
def fit(tmp_path_factory: pytest.TempPathFactory, tiny: Dataset) -> Callable[..., Trainer]:
    """Trains in this process: three epochs of three steps, unless told otherwise."""

    def run(dataset: Dataset = tiny, reporter: Reporter | None = None, **options: Any) -> Trainer:
        from lenet import Trainer

        defaults: dict[str, Any] = {"epochs": 3, "batch_size": 32, "inspect_every": 0}
        if "logdir" not in options:
            defaults["logdir"] = tmp_path_factory.mktemp("logdir")
        trainer = Trainer(TrainConfig(**(defaults | options)), dataset, reporter or Notes())
        trainer.fit()
        return trainer

    return run


@pytest.fixture(scope="session")
def learned(fit: Callable[..., Trainer], digits: Dataset) -> Trainer:
    """A network that has learned the bundled digits: 150 steps, looked at every 30."""
    return fit(digits, epochs=6, inspect_every=30)


@pytest.fixture(scope="session")
def go_on(tiny: Dataset) -> Callable[..., Trainer]:
    """Resumes a run in this process, with the options it was started with."""

    def resume(
        run: Path, dataset: Dataset = tiny, reporter: Reporter | None = None, **changes: Any
    ) -> Trainer:
        from lenet import Trainer

        saved, _ = runs.read_config(run)
        config = dataclasses.replace(saved, resume=run, **changes)
        trainer = Trainer(config, dataset, reporter or Notes())
        trainer.fit()
        return trainer

    return resume


@pytest.fixture(scope="session")
def command_line() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m lenet.train` with the given words, as a user would, from the repository."""

    def run(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lenet.train", *map(str, words)]
        environment = {**os.environ, "COLUMNS": "100", **options.pop("env", {})}
        return subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def check_legible() -> Callable[..., None]:
    """Holds that a figure's words are inside it, not too small, and not written over each other.

    Where points are named in a plane, those names may come to lie as they do: `crowded`.
    """

    def check(figure: Figure, crowded: Collection[str] = ()) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.text import Text

        drawn: dict[int, Text] = {}
        draw = Text.draw

        def draw_and_note(text: Text, renderer: Any) -> None:
            if text.get_text().strip() and text.get_text() not in crowded:
                drawn[id(text)] = text
            draw(text, renderer)

        canvas = FigureCanvasAgg(figure)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Text, "draw", draw_and_note)
            canvas.draw()
        words = [text.get_text() for text in drawn.values()]
        extents = [text.get_window_extent().extents for text in drawn.values()]
        boxes = np.array(extents).reshape(-1, 4)
        low, high = boxes[:, :2], boxes[:, 2:]
        outside = (low < -1).any(1) | (high > np.add(canvas.get_width_height(), 1)).any(1)
        assert [word for word, out in zip(words, outside, strict=True) if out] == []
        small = [text.get_text() for text in drawn.values() if float(text.get_fontsize()) < 6]
        assert small == []
        common = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
        over = np.argwhere(np.triu((common > 1.5).all(axis=2), 1))
        assert [(words[one], words[other]) for one, other in over] == []

    return check


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: what $LENET_ARTIFACTS names, or else pytest's own folder."""
    named = os.environ.get("LENET_ARTIFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A Chromium without a window; where there is none the test is skipped, or fails in CI."""
    try:
        started = live.open_browser(tmp_path_factory.mktemp("browser"))
    except FileNotFoundError as error:
        if os.environ.get("LENET_REQUIRE_BROWSER") == "1":
            pytest.fail(f"LENET_REQUIRE_BROWSER is 1. {error}")
        pytest.skip(str(error))
    yield started
    started.quit()
