"""Every tag a run writes, read back from real runs on the bundled digits and compared with NumPy."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.stats import norm
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from lenet import TrainConfig, Trainer, diagnostics
from lenet.data.sampling import choose_probe
from lenet.figures import tiles
from lenet.networks.architectures import build_model
from lenet.recording import events
from lenet.registry import ACTIVATIONS
from tests.described_tags import descriptions

if TYPE_CHECKING:
    from lenet.data.datasets import Dataset

CONVOLUTIONS, DENSE = ("conv1", "conv2"), ("fc1", "fc2", "fc3")
LAYERS = (*CONVOLUTIONS, *DENSE)
LAST_STEP = 8  # One epoch of the 797 images, 100 at a time.
INSPECTIONS = list(range(LAST_STEP + 1))
LOOKED_AT = (0, 3, LAST_STEP)
HISTOGRAMS = ("kernel", "bias", "kernel_gradient", "bias_gradient", "activation")
DIAGNOSTICS = (
    "gradient_norm", "update_ratio", "distance_moved", "slope", "dead_fraction",
    "saturated_fraction",
)  # fmt: skip
# First weights so wild that some units are dead and some saturated, and not all.
STARTS: dict[str, dict[str, Any]] = {
    # With this seed some units are dead and others alive; with seed 0 the whole network is dead.
    "relu": {"init_stddev": 0.2, "init_bias": -0.3, "seed": 2},
    "sigmoid": {"init_stddev": 1.0, "init_bias": 0.0},
}
each_layer = pytest.mark.parametrize("layer", LAYERS)
each_convolution = pytest.mark.parametrize("layer", CONVOLUTIONS)


class Recorded:
    """A run with all that its event files hold, and its network as it was after any step."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.run = trainer.history.run
        self.dataset = trainer.dataset
        self.written = {writer: events.read_tensors(self.run / writer) for writer in WRITERS}
        by_class = [np.flatnonzero(self.dataset.train.labels == c)[:10] for c in range(10)]
        self.probe = np.concatenate(by_class)
        self.weights, self.outputs = cache(self._weights), cache(self._outputs)
        self.gradients = cache(self._gradients)
        self._model: Any = build_model(trainer.config, (28, 28, 1), 10)

    def steps(self, tag: str, writer: str = "train") -> list[int]:
        return self.written[writer][tag][0].tolist()

    def at(self, tag: str, step: int, writer: str = "train") -> Any:
        """What a tag says at a step."""
        steps, values = self.written[writer][tag]
        return values[steps.tolist().index(step)]

    def picture(self, tag: str, step: int, writer: str = "train") -> np.ndarray:
        """The only picture of a tag at a step, uint8 [h, w, channels]."""
        (found,) = opened(self.at(tag, step, writer))
        return found

    def inspection(self, step: int) -> dict[str, np.ndarray]:
        """The arrays recorded at a step."""
        with np.load(self.run / "inspections" / f"step-{step:08d}.npz") as arrays:
            return dict(arrays)

    def network(self, step: int) -> Any:
        """The network as it was after a step; the next call changes it."""
        for variable in self._model.variables:
            variable.assign(self.weights(step)[variable.path.split("/", 1)[1]])
        return self._model

    def _weights(self, step: int) -> dict[str, np.ndarray]:
        """Kernels and biases after a step: the checkpoint's, at step 0 those first drawn."""
        if step == 0:
            fresh = build_model(self.trainer.config, (28, 28, 1), 10)
            return {v.path.split("/", 1)[1]: np.asarray(v) for v in fresh.variables}
        with np.load(self.run / "checkpoints" / f"step-{step:08d}" / "model.npz") as arrays:
            return dict(arrays)

    def _outputs(self, step: int) -> dict[str, np.ndarray]:
        """Every layer's output for the probe images."""
        found = self.network(step).activations(as_input(self.dataset.train.images[self.probe]))
        return {name: value.numpy() for name, value in found.items()}

    def _gradients(self, step: int) -> dict[str, np.ndarray]:
        """By a plain tape: the gradient of the mean loss over the probe images."""
        network = self.network(step)
        labels = self.dataset.train.labels[self.probe]
        variables = {v.path.split("/", 1)[1]: v.value for v in network.trainable_variables}
        with tf.GradientTape() as tape:
            logits, _ = network(as_input(self.dataset.train.images[self.probe]))
            chosen = tf.gather(tf.nn.log_softmax(logits), labels, batch_dims=1)
            loss = -tf.reduce_mean(chosen)
        found = tape.gradient(loss, variables)
        return {name: value.numpy() for name, value in found.items()}


WRITERS = ("train", "test")


@pytest.fixture(scope="module", params=list(STARTS))
def recorded(
    request: pytest.FixtureRequest, fit: Callable[..., Trainer], digits: Dataset
) -> Recorded:
    """One epoch on the bundled digits, inspected and saved at every step."""
    looking = {"inspect_every": 1, "checkpoint_every": 1, "eval_every": 4, "keep": 100}
    options = {"epochs": 1, "batch_size": 100, "init": "truncated_normal", **looking}
    return Recorded(fit(digits, activation=request.param, **options, **STARTS[request.param]))


def as_input(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255


def opened(value: np.ndarray) -> list[np.ndarray]:
    """The pictures of one image summary, uint8 [h, w, channels] each."""
    width, height, *encoded = value
    pictures = []
    for content in encoded:
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.format == "PNG"
            assert picture.size == (int(width), int(height))
            pictures.append(np.asarray(picture).reshape(picture.height, picture.width, -1))
    return pictures


def scaled(values: np.ndarray) -> np.ndarray:
    """From black for the least to white for the greatest; one gray where all are equal."""
    least, greatest = values.min(), values.max()
    if least == greatest:
        return np.full(values.shape, 128)
    return np.round((values - least) * (255 / (greatest - least)))


def untiled(canvas: np.ndarray, height: int, width: int, columns: int) -> np.ndarray:
    """The pictures of a tiling made small again, [n, height, width, channels], row by row.

    Holds that every pixel was enlarged by one whole factor without smoothing, and that what
    lies between the pictures is white.
    """
    factor, border = 60 // height, tiles.BORDER
    down, across = height * factor + border, width * factor + border
    assert canvas.shape[1] == columns * across + border
    rows, rest = divmod(canvas.shape[0] - border, down)
    assert rest == 0
    assert (canvas[np.arange(canvas.shape[0]) % down < border] == 255).all()
    assert (canvas[:, np.arange(canvas.shape[1]) % across < border] == 255).all()
    cells = canvas[border:, border:].reshape(rows, down, columns, across, -1)
    cells = cells[:, :-border, :, :-border]
    cells = cells.reshape(rows, height, factor, columns, width, factor, -1)
    assert (cells == cells[:, :, :1, :, :, :1]).all(), "smoothed"
    return (
        cells[:, :, 0, :, :, 0].transpose(0, 2, 1, 3, 4).reshape(-1, height, width, cells.shape[-1])
    )


class TestWhatIsThere:
    """Nothing is missing, and nothing is there that nobody expects."""

    def test_each_writer_has_exactly_the_tags_of_the_table(self, recorded: Recorded) -> None:
        expected = {"loss", "accuracy", "learning_rate", "images_per_second", "config"}
        expected |= {"inputs/each", "inputs/grid", "custom_scalars__config__", "fc2/by_class"}
        expected |= {f"{n}/{kind}" for n in LAYERS for kind in (*HISTOGRAMS, *DIAGNOSTICS)}
        pictures = ("kernels", "kernels_by_channel", "feature_maps", "pre_activations")
        expected |= {f"{n}/{kind}" for n in CONVOLUTIONS for kind in pictures}
        expected |= {f"{n}/matrix" for n in DENSE}
        assert set(recorded.written["train"]) == expected
        of_test = {"loss", "accuracy", "config", "inputs/each", "inputs/grid"}
        assert set(recorded.written["test"]) == of_test

    def test_each_tag_is_written_when_it_is_due(self, recorded: Recorded) -> None:
        once = {"config", "inputs/each", "inputs/grid", "custom_scalars__config__"}
        updates = INSPECTIONS[1:]
        for tag in recorded.written["train"]:
            if tag in once:
                assert recorded.steps(tag) == [0], tag
            elif tag in ("loss", "accuracy", "learning_rate") or tag.endswith("/update_ratio"):
                assert recorded.steps(tag) == updates, tag
            elif tag == "images_per_second":
                assert set(recorded.steps(tag)) <= set(updates)
            else:
                assert recorded.steps(tag) == INSPECTIONS, tag
        for tag in recorded.written["test"]:
            assert recorded.steps(tag, "test") == ([0] if tag in once else [0, 4, 8]), tag

    def test_each_kind_of_tag_reaches_the_page_that_shows_it(self, recorded: Recorded) -> None:
        accumulator = EventAccumulator(str(recorded.run / "train"), {"tensors": 1})
        accumulator.Reload()
        kinds = {
            **dict.fromkeys(HISTOGRAMS, "histograms"),
            **dict.fromkeys(("loss", "accuracy", "learning_rate", *DIAGNOSTICS), "scalars"),
            "images_per_second": "scalars",
            "config": "text",
            "custom_scalars__config__": "custom_scalars",
        }
        for tag in recorded.written["train"]:
            plugin = accumulator.SummaryMetadata(tag).plugin_data.plugin_name
            assert plugin == kinds.get(tag.split("/")[-1], "images"), tag

    @pytest.mark.parametrize("writer", WRITERS)
    def test_the_first_value_of_each_tag_describes_it_and_no_other_does(
        self, recorded: Recorded, writer: str
    ) -> None:
        found = descriptions(recorded.run / writer)
        for tag in set(recorded.written[writer]) - {"config", "custom_scalars__config__"}:
            first, *later = found[tag]
            assert re.fullmatch(r"[A-Z].{15,}\.", first), tag
            assert set(later) <= {""}, tag

    def test_the_scalars_are_those_of_the_history(self, recorded: Recorded) -> None:
        history, test = recorded.trainer.history, recorded.written["test"]
        train = events.read_scalars(recorded.run / "train")
        np.testing.assert_array_equal(train["loss"][1], history.losses)
        np.testing.assert_array_equal(train["accuracy"][1], history.accuracies)
        np.testing.assert_array_equal(train["learning_rate"][1], np.full(8, 0.001, np.float32))
        assert (train["images_per_second"][1] > 0).all()
        for place, tag in ((1, "loss"), (2, "accuracy")):
            expected = [np.float32(row[place]) for row in history.evaluations]
            np.testing.assert_array_equal(test[tag][1], expected)

    def test_the_graph_is_one_step_in_named_parts_without_a_loop(self, recorded: Recorded) -> None:
        accumulator = EventAccumulator(str(recorded.run / "train"), {"graph": 1})
        accumulator.Reload()
        names = [node.name for node in accumulator.Graph().node]
        assert 100 < len(names) < 1_000
        assert [name for name in names if re.search("while|cond", name, re.IGNORECASE)] == []
        for layer in LAYERS:
            assert any(re.search(rf"(^|/)lenet\w*/{layer}\w*/", name) for name in names), layer
        assert any(name.startswith("optimizer/") for name in names)
        assert any(name.startswith("gradient_tape/") for name in names)


class TestHistograms:
    """All values of a layer, counted."""

    @each_layer
    @pytest.mark.parametrize("kind", HISTOGRAMS)
    @pytest.mark.parametrize("step", LOOKED_AT)
    def test_each_value_is_counted_once_where_it_belongs(
        self, recorded: Recorded, layer: str, kind: str, step: int
    ) -> None:
        values = {
            "kernel": lambda: recorded.weights(step)[f"{layer}/kernel"],
            "bias": lambda: recorded.weights(step)[f"{layer}/bias"],
            "kernel_gradient": lambda: recorded.gradients(step)[f"{layer}/kernel"],
            "bias_gradient": lambda: recorded.gradients(step)[f"{layer}/bias"],
            "activation": lambda: recorded.outputs(step)[layer],
        }[kind]().astype(np.float64)
        found = recorded.at(f"{layer}/{kind}", step)
        left, right, counts = found.T
        assert counts.sum() == values.size
        if np.ptp(values) == 0:
            assert (left[0], right[-1]) == (values.min() - 0.5, values.min() + 0.5)
        else:
            span = np.ptp(values)
            assert left[0] == pytest.approx(values.min(), abs=1e-4 * span)
            assert right[-1] == pytest.approx(values.max(), abs=1e-4 * span)
        np.testing.assert_array_equal(left[1:], right[:-1])
        edges = np.append(left, right[-1])
        edges[0], edges[-1] = -np.inf, np.inf  # Rounding may put the last bit of one outside.
        expected, _ = np.histogram(values, edges)
        moved = np.abs(expected - counts).sum() / 2
        assert moved <= 1 + values.size / 1_000, "values lie in the wrong buckets"


class TestDiagnostics:
    """Four numbers about every layer."""

    @each_layer
    @pytest.mark.parametrize("step", LOOKED_AT)
    def test_the_gradient_norm_is_that_of_a_plain_tape(
        self, recorded: Recorded, layer: str, step: int
    ) -> None:
        expected = np.sqrt(np.square(recorded.gradients(step)[f"{layer}/kernel"]).sum())
        assert expected > 0
        assert recorded.at(f"{layer}/gradient_norm", step) == pytest.approx(expected, rel=1e-4)

    @each_layer
    @pytest.mark.parametrize("step", LOOKED_AT)
    def test_the_dead_fraction_is_the_share_of_units_that_never_move(
        self, recorded: Recorded, layer: str, step: int
    ) -> None:
        outputs = recorded.outputs(step)[layer]
        by_unit = outputs.reshape(-1, outputs.shape[-1])
        expected = np.mean(np.ptp(by_unit, axis=0) <= 1e-6)
        assert recorded.at(f"{layer}/dead_fraction", step) == pytest.approx(expected, abs=1e-6)

    @each_layer
    @pytest.mark.parametrize("step", LOOKED_AT)
    def test_the_saturated_fraction_is_the_share_of_flat_places(
        self, recorded: Recorded, layer: str, step: int
    ) -> None:
        a = recorded.outputs(step)[layer].astype(np.float64)
        slopes = {"relu": a > 0, "sigmoid": a * (1 - a)}[recorded.trainer.config.activation]
        expected = 0 if layer == "fc3" else np.mean(slopes < 0.01)  # fc3 has no activation.
        found = recorded.at(f"{layer}/saturated_fraction", step)
        assert found == pytest.approx(expected, abs=2e-4)

    @each_layer
    @pytest.mark.parametrize("step", LOOKED_AT)
    def test_the_slope_is_the_root_mean_square_of_all_slopes(
        self, recorded: Recorded, layer: str, step: int
    ) -> None:
        a = recorded.outputs(step)[layer].astype(np.float64)
        slopes = {"relu": a > 0, "sigmoid": a * (1 - a)}[recorded.trainer.config.activation]
        expected = 1 if layer == "fc3" else np.sqrt(np.mean(np.square(slopes.astype(np.float64))))
        assert recorded.at(f"{layer}/slope", step) == pytest.approx(expected, abs=2e-4)

    def test_the_runs_have_dead_and_saturated_units_and_others(self, recorded: Recorded) -> None:
        """Else the two tests above would compare nothing with nothing."""
        for kind in ("dead_fraction", "saturated_fraction"):
            found = [recorded.at(f"{layer}/{kind}", LAST_STEP) for layer in LAYERS]
            assert sum(0 < value < 1 for value in found) >= 2, kind

    @each_layer
    @pytest.mark.parametrize("step", [1, 2, LAST_STEP])
    def test_the_update_ratio_is_that_of_the_very_last_update(
        self, recorded: Recorded, layer: str, step: int
    ) -> None:
        before, after = (recorded.weights(s)[f"{layer}/kernel"] for s in (step - 1, step))
        expected = np.sqrt(np.square(after - before).sum() / np.square(before).sum())
        assert expected > 0
        assert recorded.at(f"{layer}/update_ratio", step) == pytest.approx(expected, rel=1e-5)

    @each_layer
    @pytest.mark.parametrize("step", LOOKED_AT)
    def test_the_distance_moved_is_that_from_the_first_weights(
        self, recorded: Recorded, layer: str, step: int
    ) -> None:
        first, now = (recorded.weights(s)[f"{layer}/kernel"] for s in (0, step))
        expected = np.sqrt(np.square(now - first).sum() / np.square(first).sum())
        assert bool(expected > 0) is (step > 0)
        assert recorded.at(f"{layer}/distance_moved", step) == pytest.approx(expected, rel=1e-5)


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: 1.0 * (x > 0),
    "sigmoid": lambda x: logistic(x) * logistic(-x),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "elu": lambda x: np.exp(np.minimum(x, 0)),
    "selu": lambda x: 1.0507 * np.where(x > 0, 1, 1.6733 * np.exp(np.minimum(x, 0))),
    "gelu": lambda x: norm.cdf(x) + x * norm.pdf(x),
    "silu": lambda x: logistic(x) * (1 + x * logistic(-x)),
    "softplus": logistic,
    "leaky_relu": lambda x: np.where(x > 0, 1, 0.2),
}


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_saturated_means_flat_for_every_activation(activation: str, digits: Dataset) -> None:
    config = TrainConfig(activation=activation, init="truncated_normal", init_stddev=0.5)
    trainer = Trainer(config, digits)
    found = trainer.inspector.measure()["saturated_fraction"]
    _, before = trainer.model.forward(as_input(choose_probe(digits.train, digits.test).images))
    for layer in LAYERS[:-1]:
        slopes = SLOPES[activation](before[layer].numpy().astype(np.float64))
        expected = np.mean(np.abs(slopes) < 0.01)
        assert float(found[layer]) == pytest.approx(expected, abs=2e-4), layer


@pytest.mark.parametrize("step", LOOKED_AT)
class TestPictures:
    """The pixels of each picture are the numbers it shows."""

    @each_convolution
    def test_kernels_show_three_channels_as_colours(
        self, recorded: Recorded, layer: str, step: int
    ) -> None:
        kernel = recorded.weights(step)[f"{layer}/kernel"]
        expected = np.moveaxis(scaled(kernel[:, :, :3]), -1, 0)
        found = untiled(recorded.picture(f"{layer}/kernels", step), 5, 5, min(8, len(expected)))
        np.testing.assert_array_equal(found, expected)

    @each_convolution
    def test_kernels_by_channel_show_every_weight(
        self, recorded: Recorded, layer: str, step: int
    ) -> None:
        kernel = recorded.weights(step)[f"{layer}/kernel"]
        _, _, inputs, outputs = kernel.shape
        canvas = recorded.picture(f"{layer}/kernels_by_channel", step)
        found = untiled(canvas, 5, 5, columns=outputs).reshape(inputs, outputs, 5, 5)
        np.testing.assert_array_equal(found.transpose(2, 3, 0, 1), scaled(kernel))

    @each_convolution
    @pytest.mark.parametrize("kind", ["feature_maps", "pre_activations"])
    def test_maps_are_what_the_network_makes_of_the_first_test_image(
        self, recorded: Recorded, layer: str, kind: str, step: int
    ) -> None:
        maps = recorded.inspection(step)[f"{layer}/{kind}"]
        after, before = recorded.network(step).forward(as_input(recorded.dataset.test.images[:1]))
        expected = (after if kind == "feature_maps" else before)[layer][0]
        np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-5)
        canvas = recorded.picture(f"{layer}/{kind}", step)
        found = untiled(canvas, *maps.shape[:2], columns=min(8, maps.shape[2]))[..., 0]
        for channel, picture in enumerate(found):
            np.testing.assert_array_equal(picture, scaled(maps[..., channel]))

    @pytest.mark.parametrize("layer", DENSE)
    def test_matrices_show_every_weight(self, recorded: Recorded, layer: str, step: int) -> None:
        kernel = recorded.weights(step)[f"{layer}/kernel"]
        found = recorded.picture(f"{layer}/matrix", step)
        factor = 300 // kernel.shape[1]
        assert found.shape == (kernel.shape[1] * factor, kernel.shape[0] * factor, 1)
        expected = scaled(kernel.T).repeat(factor, 0).repeat(factor, 1)
        np.testing.assert_array_equal(found[..., 0], expected)

    def test_features_stand_row_by_row_sorted_by_class(self, recorded: Recorded, step: int) -> None:
        picture = recorded.picture("fc2/by_class", step)
        assert picture.shape == (300, 252, 1)
        found = picture[::3, ::3, 0]
        np.testing.assert_array_equal(found.repeat(3, 0).repeat(3, 1), picture[..., 0])
        labels = recorded.dataset.train.labels[recorded.probe]
        np.testing.assert_array_equal(labels, np.repeat(np.arange(10), 10))
        # The network computes in float32, so a gray may come out one step lighter or darker.
        expected = scaled(recorded.outputs(step)["fc2"])
        assert np.abs(found - expected).max() <= 1
        assert np.mean(found == expected) > 0.99


@pytest.mark.parametrize("writer", WRITERS)
class TestInputs:
    """What goes in, once."""

    def test_each_is_25_pictures_that_are_the_images(self, recorded: Recorded, writer: str) -> None:
        found = opened(recorded.at("inputs/each", 0, writer))
        assert len(found) == 25
        images = getattr(recorded.dataset, writer).images[:25]
        np.testing.assert_array_equal(np.stack(found), images)

    def test_the_grid_is_five_by_five_with_the_class_above_each(
        self, recorded: Recorded, writer: str
    ) -> None:
        canvas = recorded.picture("inputs/grid", 0, writer)
        split = getattr(recorded.dataset, writer)
        titles: dict[int, np.ndarray] = {}
        for place in range(25):
            top, left = place // 5 * 106, place % 5 * 96 + 6
            shown = canvas[top + 22 : top + 106, left : left + 84]
            expected = split.images[place].repeat(3, 0).repeat(3, 1).repeat(3, 2)
            np.testing.assert_array_equal(shown, expected)
            title = canvas[top : top + 22, left : left + 84]
            assert title.min() < 100, "there is something to read"
            assert title.max() == 255
            label = int(split.labels[place])
            np.testing.assert_array_equal(title, titles.setdefault(label, title))
        assert len({title.tobytes() for title in titles.values()}) == len(titles) > 5


class TestLayout:
    """The page of custom scalars."""

    def test_every_curve_and_diagnostic_is_in_exactly_one_chart(self, recorded: Recorded) -> None:
        content = recorded.at("custom_scalars__config__", 0).item()
        layout = layout_pb2.Layout.FromString(content)
        scalars = events.read_scalars(recorded.run / "train")
        shown = [
            (tag, chart.title, category.title.partition(":")[0])
            for category in layout.category
            for chart in category.chart
            for pattern in chart.multiline.tag
            for tag in scalars
            if re.search(pattern, tag)
        ]
        expected = [(tag, tag, "train and test") for tag in ("loss", "accuracy", "learning_rate")]
        titles = {kind: diagnostics.DIAGNOSTICS[kind].title for kind in DIAGNOSTICS}
        expected += [(f"{n}/{kind}", n, titles[kind]) for kind in DIAGNOSTICS for n in LAYERS]
        assert shown == expected


class TestInspections:
    """The arrays beside the event files."""

    def test_there_is_one_file_for_each_inspection(self, recorded: Recorded) -> None:
        found = sorted(path.name for path in (recorded.run / "inspections").iterdir())
        assert found == [f"step-{step:08d}.npz" for step in INSPECTIONS]

    @pytest.mark.parametrize("step", LOOKED_AT)
    def test_it_holds_what_was_looked_at_and_nothing_else(
        self, recorded: Recorded, step: int
    ) -> None:
        found = recorded.inspection(step)
        kinds = [kind for kind in DIAGNOSTICS if step > 0 or kind != "update_ratio"]
        expected = {f"{n}/{kind}" for n in LAYERS for kind in ("kernel", "bias", *kinds)}
        pictures = ("feature_maps", "pre_activations")
        expected |= {f"{n}/{kind}" for n in CONVOLUTIONS for kind in pictures}
        assert set(found) == expected | {"fc2/class_means", "fc2/by_class", "labels"}
        np.testing.assert_array_equal(found.pop("labels"), np.repeat(np.arange(10), 10))
        assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
        weights = recorded.weights(step)
        for name in weights:
            np.testing.assert_array_equal(found[name], weights[name])
        for name in (f"{n}/{kind}" for n in LAYERS for kind in kinds):
            assert found[name] == recorded.at(name, step)
        features = recorded.outputs(step)["fc2"]
        np.testing.assert_allclose(found["fc2/by_class"], features, rtol=1e-4, atol=1e-5)
        means = features.reshape(10, 10, 84).mean(1)
        np.testing.assert_allclose(found["fc2/class_means"], means, rtol=1e-4, atol=1e-5)
