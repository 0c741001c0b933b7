"""What reaches TensorBoard, read back from a run's event files with TensorBoard's own reader."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from lenet.figures import tiles
from lenet.recording import checkpoints, encoding

if TYPE_CHECKING:
    from lenet.training.trainer import Trainer

STEPS = range(1, 10)
INSPECTIONS = [0, 4, 8, 9]
EVALUATIONS = [0, 2, 3, 4, 6, 8, 9]
LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")
CONVOLUTIONS = LAYERS[:2]


class Page:
    """One writer's events."""

    def __init__(self, trainer: Trainer, writer: str) -> None:
        self.events = EventAccumulator(
            str(trainer.history.run / writer), size_guidance={"tensors": 0, "graph": 0}
        )
        self.events.Reload()

    def tags(self, plugin: str) -> set[str]:
        """The tags that one of TensorBoard's pages shows."""
        return {
            tag
            for tag in self.events.Tags()["tensors"]
            if self.events.SummaryMetadata(tag).plugin_data.plugin_name == plugin
        }

    def steps(self, tag: str) -> list[int]:
        return [event.step for event in self.events.Tensors(tag)]

    def values(self, tag: str) -> list[np.ndarray]:
        return [tensor_util.make_ndarray(event.tensor_proto) for event in self.events.Tensors(tag)]


@pytest.fixture(scope="module")
def trainer(fit: Callable[..., Trainer]) -> Trainer:
    """Nine steps in three epochs, with everything on."""
    return fit(inspect_every=4, eval_every=2)


@pytest.fixture(scope="module")
def train(trainer: Trainer) -> Page:
    """The training writer's events."""
    return Page(trainer, "train")


@pytest.fixture(scope="module")
def test(trainer: Trainer) -> Page:
    """The test writer's events."""
    return Page(trainer, "test")


@pytest.fixture(scope="module")
def weights(trainer: Trainer) -> dict[str, np.ndarray]:
    """Kernels and biases of the last checkpoint."""
    found = checkpoints.newest_valid(trainer.history.run / "checkpoints")
    assert found is not None
    assert found.step == 9
    return found.model_arrays()


def test_every_step_has_its_scalars(train: Page, trainer: Trainer) -> None:
    assert {"loss", "accuracy", "learning_rate"} <= train.tags("scalars")
    for tag in ("loss", "accuracy", "learning_rate"):
        assert train.steps(tag) == list(STEPS)
    np.testing.assert_array_equal(train.values("loss"), trainer.history.losses)
    np.testing.assert_array_equal(train.values("accuracy"), trainer.history.accuracies)
    assert train.values("learning_rate") == [np.float32(0.001)] * 9


def test_the_speed_is_a_number_above_nothing(train: Page) -> None:
    assert "images_per_second" in train.tags("scalars")
    assert min(train.values("images_per_second")) > 0


def test_every_evaluation_has_its_scalars(test: Page, trainer: Trainer) -> None:
    assert {"loss", "accuracy"} <= test.tags("scalars")
    for place, tag in ((1, "loss"), (2, "accuracy")):
        assert test.steps(tag) == EVALUATIONS
        expected = [np.float32(row[place]) for row in trainer.history.evaluations]
        np.testing.assert_array_equal(test.values(tag), expected)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kind", ["kernel", "bias"])
def test_every_layer_has_histograms_of_all_its_weights(
    train: Page, weights: dict[str, np.ndarray], layer: str, kind: str
) -> None:
    tag = f"{layer}/{kind}"
    assert tag in train.tags("histograms")
    assert train.steps(tag) == INSPECTIONS
    expected = weights[tag]
    for histogram in train.values(tag):
        assert histogram[:, 2].sum() == expected.size
    last = train.values(tag)[-1]
    assert last[0, 0] == pytest.approx(expected.min())
    assert last[-1, 1] == pytest.approx(expected.max())
    middle = len(last) // 2
    below = np.count_nonzero(expected < last[middle, 0])
    assert abs(last[:middle, 2].sum() - below) <= 1


def pixels(values: np.ndarray) -> list[np.ndarray]:
    """The pictures of one image summary, as a browser would draw them."""
    width, height, *encoded = values
    pictures = []
    for content in encoded:
        with Image.open(io.BytesIO(content)) as opened:
            assert opened.size == (int(width), int(height))
            pictures.append(np.asarray(opened))
    return pictures


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize(
    ("kind", "draw"),
    [("kernels", tiles.kernels_as_rgb), ("kernels_by_channel", tiles.kernels_by_channel)],
)
def test_every_convolution_has_pictures_of_its_kernels(
    train: Page,
    weights: dict[str, np.ndarray],
    layer: str,
    kind: str,
    draw: Callable[[np.ndarray], np.ndarray],
) -> None:
    tag = f"{layer}/{kind}"
    assert tag in train.tags("images")
    assert train.steps(tag) == INSPECTIONS
    expected = draw(weights[f"{layer}/kernel"])
    (picture,) = pixels(train.values(tag)[-1])
    np.testing.assert_array_equal(picture.reshape(expected.shape), expected)
    (first,) = pixels(train.values(tag)[0])
    assert not np.array_equal(first, picture), "the kernels have moved since"


def test_the_options_are_a_table_in_both_writers(train: Page, test: Page) -> None:
    for page in (train, test):
        assert page.tags("text") == {"config"}
        (table,) = (value.item().decode() for value in page.values("config"))
        assert "| activation | `relu` |" in table
        assert "| batch_size | `32` |" in table
        assert "| learning_rate | `0.001` |" in table


def test_the_graph_names_every_layer(train: Page) -> None:
    assert train.events.Tags()["graph"]
    nodes = {node.name for node in train.events.Graph().node}
    for layer in LAYERS:
        assert any(layer in name for name in nodes)


def test_no_tag_bears_the_name_of_a_loop(train: Page, test: Page) -> None:
    tags = set(train.events.Tags()["tensors"]) | set(test.events.Tags()["tensors"])
    assert [tag for tag in tags if "while" in tag or tag.startswith("/")] == []


def test_the_first_and_last_step_are_always_written(fit: Callable[..., Trainer]) -> None:
    page = Page(fit(log_every=4), "train")
    for tag in ("loss", "accuracy", "learning_rate"):
        assert page.steps(tag) == [1, 4, 8, 9]
    assert page.tags("histograms") == set(), "inspect_every is 0 here"


def test_the_learning_rate_of_a_schedule_is_seen(fit: Callable[..., Trainer]) -> None:
    rates = Page(fit(schedule="one_cycle", optimizer="sgd"), "train").values("learning_rate")
    assert len(rates) == 9
    assert max(rates) == np.float32(0.01)
    assert rates[-1] < rates[0]


@pytest.mark.parametrize("size", [0, 1, 7, 8, 50])
def test_a_histogram_in_blocks_counts_every_value(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(size).normal(size=size).astype(np.float32)
    whole = encoding.histogram(values)
    monkeypatch.setattr(encoding, "BLOCK", 7)
    found = encoding.histogram(values)
    np.testing.assert_array_equal(found, whole)
    assert found[:, 2].sum() == size


@pytest.mark.parametrize("size", [3e38, 1e-43])
def test_a_histogram_of_very_large_or_small_values_is_exact(size: float) -> None:
    values = np.linspace(-size, size, 61, dtype=np.float32)
    found = encoding.histogram(values)
    np.testing.assert_array_equal(found[:, 2], np.histogram(values.astype(np.float64), 30)[0])
