"""Figures drawn from plain arrays: what is drawn is what was given, and it can be read."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from lenet.analysis.embeddings import Separation
from lenet.diagnostics import DIAGNOSTICS
from lenet.figures import activity, animation, comparison, curves, outcomes, scatter, style, weights

RNG = np.random.default_rng(0)
DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")
CONV1 = RNG.normal(size=(5, 5, 1, 6)).astype(np.float32)
CONV2 = RNG.normal(size=(5, 5, 6, 16)).astype(np.float32)
DENSE = RNG.normal(size=(84, 10)).astype(np.float32)
UNITS = RNG.normal(size=(28, 28, 1, 300)).astype(np.float32)
PHOTO_UNITS = RNG.normal(size=(64, 64, 3, 300)).astype(np.float32)
MAPS = RNG.normal(size=(10, 10, 16)).astype(np.float32)
FEATURES = RNG.normal(size=(100, 84)).astype(np.float32)
IMAGES = RNG.integers(0, 255, (50, 28, 28, 1), dtype=np.uint8)
COLOURED = RNG.integers(0, 255, (50, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(50) % 10
STEPS = np.arange(1, 201)
TRAIN = (STEPS, RNG.random(200))
TEST = (np.arange(0, 201, 50), RNG.random(5))
POINTS = RNG.normal(size=(50, 2)).astype(np.float32)
COUNTS = np.diag(np.full(10, 90)) + np.eye(10, k=1, dtype=np.int64) * 12

# Every function that draws on given axes, with what it may be given.
ON_AXES: dict[str, Callable[[Axes | None], Axes]] = {
    "a gray image": lambda ax: activity.image(IMAGES[0], ax, "seven"),
    "a coloured image": lambda ax: activity.image(COLOURED[0] / 255, ax),
    "kernels of one channel": lambda ax: weights.kernels(CONV1, "conv1", ax),
    "kernels of two channels": lambda ax: weights.kernels(CONV2[:, :, :2], "conv2", ax),
    "kernels of six channels": lambda ax: weights.kernels(CONV2, "conv2", ax),
    "kernels by channel": lambda ax: weights.kernels_by_channel(CONV2, "conv2", ax),
    "kernels that are all zero": lambda ax: weights.kernels_by_channel(0 * CONV2, "conv2", ax),
    "units of gray images": lambda ax: weights.unit_images(UNITS, "fc1", ax),
    "units of photos": lambda ax: weights.unit_images(PHOTO_UNITS, "fc1", ax),
    "units that are all zero": lambda ax: weights.unit_images(0 * UNITS, "fc1", ax),
    "a matrix": lambda ax: weights.matrix(DENSE, "fc3", ax),
    "a matrix of zeros": lambda ax: weights.matrix(0 * DENSE, "fc3", ax),
    "feature maps": lambda ax: activity.feature_maps(MAPS, "conv2", ax),
    "many feature maps": lambda ax: activity.feature_maps(RNG.random((14, 14, 64)), "conv3", ax),
    "feature maps that are all zero": lambda ax: activity.feature_maps(0 * MAPS, "conv2", ax),
    "features of a class": lambda ax: activity.feature_map_of_class(FEATURES, "fc2 for 7", ax),
    "a loss": lambda ax: curves.learning_curve(TRAIN, TEST, "loss", ax, guess=2.3),
    "an accuracy": lambda ax: curves.learning_curve(TRAIN, TEST, "accuracy", ax),
    "gradient norms": lambda ax: curves.diagnostic({"conv1": TEST, "fc3": TEST}, ax=ax),
    "norms of nothing": lambda ax: curves.diagnostic({"fc1": (STEPS, 0.0 * STEPS)}, ax=ax),
    "dead units": lambda ax: curves.diagnostic({"conv1": TEST}, "dead_fraction", ax),
    "a confusion matrix": lambda ax: outcomes.confusion_matrix(COUNTS, DIGITS, ax, "MNIST"),
    "points": lambda ax: scatter.scatter(POINTS, LABELS, DIGITS, ax, title="fc2"),
}
# Every function that makes a figure of several axes.
FIGURES: dict[str, Callable[[], Figure]] = {
    "inputs": lambda: activity.inputs(IMAGES, [DIGITS[n] for n in LABELS], title="inputs"),
    "clothes": lambda: activity.inputs(IMAGES[:5], CLOTHES, title="inputs"),
    "all feature maps": lambda: activity.all_feature_maps(
        IMAGES[0],
        {"conv1": MAPS[..., :6], "conv2": MAPS},
        {"conv1": MAPS[..., :6], "conv2": MAPS},
        "a 7",
    ),
    "features of classes": lambda: activity.feature_maps_of_classes(
        dict.fromkeys(DIGITS, FEATURES), title="fc2"
    ),
    "class means": lambda: activity.class_means(FEATURES[:10], np.eye(10), DIGITS, "fc2"),
    "class means of clothes": lambda: activity.class_means(FEATURES[:5], None, CLOTHES, "fc2"),
    "sorted units": lambda: activity.sorted_units(
        FEATURES[:10], FEATURES, [len(FEATURES) // 10] * 10, DIGITS, range(84), [9] * 9 + [3], "fc2"
    ),
    "learning curves": lambda: curves.learning_curves(
        {"loss": TRAIN, "accuracy": TRAIN}, {"loss": TEST, "accuracy": TEST}, 10, "MNIST"
    ),
    "diagnostics": lambda: curves.diagnostics(
        {kind: {f"fc{n}": TEST for n in range(5)} for kind in DIAGNOSTICS}, "MNIST"
    ),
    "mistakes": lambda: outcomes.mistakes(IMAGES, LABELS, probabilities(50, 10), DIGITS),
    "mistakes with clothes": lambda: outcomes.mistakes(
        IMAGES, LABELS % 5, probabilities(50, 5), CLOTHES, title="mistakes"
    ),
    "no mistakes": lambda: outcomes.mistakes(
        IMAGES, LABELS, np.eye(10)[LABELS], DIGITS, title="none"
    ),
    "overview": lambda: overview(),
}


def probabilities(count: int, classes: int) -> np.ndarray:
    logits = np.exp(np.random.default_rng(1).normal(size=(count, classes)))
    return logits / logits.sum(1, keepdims=True)


def overview() -> Figure:
    layers = ("conv1", "conv2", "fc1", "fc2", "fc3")
    planes = {(method, layer): POINTS for method in ("pca", "tsne") for layer in layers}
    separations = {layer: Separation(0.913, 0.25) for layer in layers}
    methods = {"pca": "PCA", "tsne": "t-SNE"}
    return scatter.overview(planes, separations, LABELS, DIGITS, methods, "Layer by layer")


def shown(ax: Axes) -> np.ndarray:
    """The array of the first image on an Axes."""
    image = ax.images[0]
    assert isinstance(image, AxesImage)
    return np.ma.getdata(image.get_array())


def text_of(figure: Figure | Axes) -> str:
    """All that is written on a figure or Axes."""
    from matplotlib.text import Text

    return "\n".join(t.get_text() for t in figure.findobj(Text) if isinstance(t, Text))


class TestEveryFunction:
    """What holds for all of them."""

    @pytest.mark.parametrize("name", ON_AXES)
    def test_it_makes_a_figure_of_its_own_that_can_be_read(
        self, name: str, check_legible: Callable[..., None]
    ) -> None:
        ax = ON_AXES[name](None)
        assert isinstance(ax, Axes)
        figure = style.figure_of(ax)
        check_legible(figure, DIGITS if name == "points" else ())
        assert figure.get_figwidth() <= style.WIDTH

    @pytest.mark.parametrize("name", ON_AXES)
    def test_it_draws_on_given_axes_and_on_nothing_else(self, name: str) -> None:
        figure = Figure(figsize=(12, 6), layout="constrained")
        given, other = figure.subplots(1, 2)
        assert ON_AXES[name](given) is given
        assert given.has_data()
        assert not other.has_data()
        assert other.get_title() == ""

    @pytest.mark.parametrize("name", FIGURES)
    def test_a_page_of_several_axes_can_be_read(
        self, name: str, check_legible: Callable[..., None]
    ) -> None:
        figure = FIGURES[name]()
        assert figure.get_figwidth() == style.WIDTH, "1,200 pixels at the default resolution"
        check_legible(figure, DIGITS if name == "overview" else ())

    @pytest.mark.parametrize(
        ("x", "text", "size", "problem"),
        [
            (0.9, "leaves the figure", 30, "leaves the figure"),
            (0.5, "over the other", 12, "the other"),
            (0.2, "tiny", 4, "tiny"),
        ],
    )
    def test_what_cannot_be_read_is_seen(
        self, x: float, text: str, size: int, problem: str, check_legible: Callable[..., None]
    ) -> None:
        figure = Figure(figsize=(4, 3))
        figure.text(0.5, 0.5, "the other")
        check_legible(figure)
        figure.text(x, 0.5, text, fontsize=size)
        with pytest.raises(AssertionError, match=problem):
            check_legible(figure)

    def test_no_figure_waits_in_a_window(self) -> None:
        import matplotlib.pyplot as plt

        assert plt.get_fignums() == []


class TestImages:
    """Pictures of the data set."""

    def test_an_image_is_as_dark_as_it_is(self) -> None:
        for pixels in (np.full((4, 4, 1), 100, np.uint8), np.full((4, 4, 1), 100 / 255)):
            drawn = activity.image(pixels).images[0]
            assert isinstance(drawn, AxesImage)
            np.testing.assert_allclose(
                drawn.to_rgba(drawn.get_array())[0, 0, :3], 100 / 255, atol=0.01
            )

    def test_inputs_are_in_order_with_their_classes(self) -> None:
        figure = activity.inputs(COLOURED[:12], [f"class {n}" for n in range(12)], title="first")
        assert len(figure.axes) == 12
        for index, ax in enumerate(figure.axes):
            np.testing.assert_array_equal(shown(ax), COLOURED[index])
            assert ax.get_title() == f"class {index}"

    def test_the_surest_mistakes_come_first(self) -> None:
        chances = probabilities(50, 10)
        figure = outcomes.mistakes(IMAGES, LABELS, chances, DIGITS, count=5)
        guesses = chances.argmax(1)
        wrong = [n for n in range(50) if guesses[n] != LABELS[n]]
        surest = sorted(wrong, key=lambda n: -chances[n].max())[:5]
        assert len(figure.axes) == 5
        for ax, index in zip(figure.axes, surest, strict=True):
            np.testing.assert_array_equal(shown(ax), IMAGES[index, ..., 0])
            guess, truth = guesses[index], LABELS[index]
            assert ax.get_title() == (
                f"says {guess} ({100 * chances[index, guess]:.0f} %)\n"
                f"is {truth} ({100 * chances[index, truth]:.0f} %)"
            )

    def test_without_mistakes_it_says_so(self) -> None:
        assert "no mistakes" in text_of(FIGURES["no mistakes"]())


class TestWeights:
    """Kernels and matrices."""

    def test_a_kernel_of_one_channel_is_shown_by_its_very_weights(self) -> None:
        canvas = shown(weights.kernels(CONV1, "conv1"))
        assert canvas.shape == (5, 6 * 6 - 1)
        for index in range(6):
            np.testing.assert_array_equal(
                canvas[:, index * 6 : index * 6 + 5], CONV1[:, :, 0, index]
            )
        assert np.isnan(canvas[:, 5::6]).all(), "between kernels is nothing"

    def test_several_channels_are_colours_over_one_range(self) -> None:
        canvas = shown(weights.kernels(CONV2, "conv2"))
        assert canvas.shape == (11, 8 * 6 - 1, 3)
        first = CONV2[:, :, :3]
        scaled = (first - first.min()) / np.ptp(first)
        for index in range(16):
            top, left = index // 8 * 6, index % 8 * 6
            result = canvas[top : top + 5, left : left + 5]
            np.testing.assert_allclose(result, scaled[..., index], atol=1e-6)

    def test_every_channel_of_every_kernel_has_its_place(self) -> None:
        ax = weights.kernels_by_channel(CONV2, "conv2")
        canvas = shown(ax)
        for channel in range(6):
            for index in range(16):
                result = canvas[channel * 6 : channel * 6 + 5, index * 6 : index * 6 + 5]
                np.testing.assert_array_equal(result, CONV2[:, :, channel, index])
        low, high = ax.images[0].get_clim()
        assert -low == high == np.abs(CONV2).max(), "zero is the middle of the colours"

    def test_units_are_images_of_their_weights_as_many_as_there_is_room_for(self) -> None:
        ax = weights.unit_images(UNITS, "fc1")
        canvas = shown(ax)
        for unit in (0, 20, 299):
            top, left = unit // 20 * 30, unit % 20 * 30
            np.testing.assert_array_equal(
                canvas[top : top + 28, left : left + 28], UNITS[:, :, 0, unit]
            )
        assert "300 units, 28×28" in ax.get_title()
        assert [text.get_text() for text in ax.texts] == [str(n) for n in range(0, 300, 20)]
        low, high = ax.images[0].get_clim()
        assert low == -high
        ax = weights.unit_images(PHOTO_UNITS, "fc1")
        assert "the first 225 of 300 units" in ax.get_title()
        reach = np.quantile(np.abs(PHOTO_UNITS), 0.998)
        scaled = (PHOTO_UNITS[..., 0] / reach + 1) / 2
        np.testing.assert_allclose(shown(ax)[:64, :64], scaled.clip(0, 1), atol=1e-6)

    def test_a_matrix_lies_with_its_inputs_along_the_width(self) -> None:
        ax = weights.matrix(DENSE, "fc3")
        np.testing.assert_array_equal(shown(ax), DENSE.T)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("input", "output")
        assert "84×10" in ax.get_title()


class TestActivity:
    """What layers make of images."""

    def test_all_feature_maps_of_a_layer_have_the_scale_in_their_title(self) -> None:
        maps = MAPS.copy()
        maps[..., 3] = 7.0
        maps[0, 0, 0] = -5.0
        ax = activity.feature_maps(maps, "conv2")
        for index in range(16):
            top, left = index // 4 * 12, index % 4 * 12
            result = shown(ax)[top : top + 10, left : left + 10]
            np.testing.assert_allclose(result, (maps[..., index] + 5) / 12, atol=1e-6)
        assert "black is -5, white 7" in ax.get_title().replace("\n", " ")

    def test_feature_maps_of_one_value_are_gray(self) -> None:
        ax = activity.feature_maps(np.full_like(MAPS, 7.0), "conv2")
        assert (shown(ax)[:10, :10] == 0.5).all()
        assert "all outputs are 7" in ax.get_title().replace("\n", " ")

    def test_maps_say_whether_they_are_before_or_after_the_activation(self) -> None:
        figure = activity.all_feature_maps(IMAGES[0], {"conv2": MAPS}, {"conv2": MAPS + 1})
        titles = [ax.get_title().replace("\n", " ") for ax in figure.axes]
        assert "input" in titles[0]
        assert "before the activation" in titles[1]
        assert "after the activation" in titles[2]

    def test_features_of_a_class_are_a_row_per_image(self) -> None:
        ax = activity.feature_map_of_class(FEATURES, "fc2 for 7")
        np.testing.assert_array_equal(shown(ax), FEATURES)
        assert ax.images[0].get_clim() == (FEATURES.min(), FEATURES.max())
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("unit", "test image")
        assert "activation" in text_of(style.figure_of(ax)), "the colour bar says what it measures"

    def test_all_classes_share_one_scale_in_gray_and_in_colour(self) -> None:
        maps = {"a": FEATURES[:30], "b": 5 * FEATURES[30:60]}
        figure = activity.feature_maps_of_classes(maps, colormap="jet", title="fc2")
        drawn = [ax.images[0] for ax in figure.axes if ax.images]
        assert len(drawn) == 4
        for image, given in zip(drawn, [*maps.values()] * 2, strict=True):
            assert isinstance(image, AxesImage)
            np.testing.assert_array_equal(image.get_array(), given)
            assert image.get_clim() == (maps["b"].min(), maps["b"].max())
        assert [image.get_cmap().name for image in drawn] == ["gray", "gray", "jet", "jet"]

    def test_seeds_have_different_lines_and_names_lead_to_the_first(self) -> None:
        steps = np.arange(3)
        curves = {
            "a": [(steps, 0.5 + 0 * steps), (steps, 0.9 + 0 * steps)],
            "b": [(steps, 0.5 + 0 * steps)],
        }
        ax = comparison.by_layer({**curves, "linear": []})
        assert [line.get_linestyle() for line in ax.lines] == ["-", "--", "-"]
        names, leaders = ax.texts[::2], ax.texts[1::2]
        assert [name.get_text() for name in names] == ["a", "b"], (
            "a layer without lines has no name"
        )
        ends = [ax.transData.inverted().transform(ax.transAxes.transform(t.xy)) for t in leaders]
        np.testing.assert_allclose(ends, [(2, 0.5)] * 2)

    def test_a_line_below_the_axes_is_named(self) -> None:
        steps = np.arange(50)
        lines = [
            comparison.Line("k", "-", [(steps, share + 0.0 * steps)], [], name=name)
            for name, share in (("sgd", 0.1), ("adam", 0.97))
        ]
        figure = comparison.learning_panels(lines, lines, 10, 50, 3, 0.9)
        assert "not shown, below 90 %:\nsgd" in text_of(figure.axes[2])
        assert "adam" not in text_of(figure.axes[2])

    @pytest.mark.parametrize("reach", [0.031, 0.19, 0.5, 1.0, 7.4])
    def test_numbers_of_neighbouring_histograms_do_not_touch(self, reach: float) -> None:
        kernels = {name: RNG.uniform(-reach, reach, (5, 5)) for name in ("a", "b", "c", "d", "e")}
        figure = comparison.weight_histograms(
            kernels, kernels, limits=dict.fromkeys(kernels, reach)
        )
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for ax in figure.axes for label in ax.get_xticklabels()]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes), "none is cut off"
        for one, other in itertools.combinations(boxes, 2):
            assert not one.padded(1).overlaps(other)

    def test_means_are_shown_with_the_similarity_of_the_classes(self) -> None:
        means, similarity = FEATURES[:5], np.linspace(-1, 1, 25).reshape(5, 5)
        figure = activity.class_means(means, similarity, CLOTHES, "fc2")
        np.testing.assert_array_equal(shown(figure.axes[0]), means)
        np.testing.assert_array_equal(shown(figure.axes[1]), similarity)
        assert f"{similarity[0][1]:.1f}" in text_of(figure.axes[1])

    def test_sorted_units_have_their_class_above_and_their_number_below(self) -> None:
        features, units = FEATURES[:50, :6], [4, 2, 0, 1, 5, 3]
        figure = activity.sorted_units(
            FEATURES[:5, :6], features, [10] * 5, CLOTHES, units, [2, 0, 1, 3, 0], "fc2"
        )
        above, below = figure.axes[:2]
        np.testing.assert_array_equal(shown(below), features)
        assert [int(label.get_text()) for label in below.get_xticklabels()] == units
        (names,) = above.child_axes
        assert list(names.get_xticks()) == [0.5, 2, 4]
        shown_names = [label.get_text() for label in names.get_xticklabels()]
        assert shown_names == [CLOTHES[0], CLOTHES[2], CLOTHES[3]]


class TestCurves:
    """Numbers over steps."""

    @pytest.mark.parametrize("window", [1, 2, 4, 7, 100])
    def test_smoothing_is_the_mean_around_each_place(self, window: int) -> None:
        values = RNG.random(23)
        expected = [
            values[max(0, i - window // 2) : i + window - window // 2].mean() for i in range(23)
        ]
        np.testing.assert_allclose(curves.smooth(values, window), expected)

    def test_every_value_is_on_its_curve(self) -> None:
        ax = curves.learning_curve(TRAIN, TEST, "loss", guess=np.log(10))
        batches, smoothed, test, guess = ax.lines
        np.testing.assert_array_equal(batches.get_xydata(), np.transpose(TRAIN))
        np.testing.assert_allclose(smoothed.get_ydata(), curves.smooth(TRAIN[1], 4))
        np.testing.assert_array_equal(test.get_xydata(), np.transpose(TEST))
        assert np.asarray(guess.get_ydata())[0] == np.log(10)
        assert "nats" in ax.get_ylabel()
        assert "step" in ax.get_xlabel()

    def test_each_layer_has_its_line_and_name(self) -> None:
        layers = {f"fc{n}": (TEST[0], TEST[1] * (n + 1)) for n in range(3)}
        ax = curves.diagnostic(layers, "gradient_norm")
        for line, (name, curve) in zip(ax.lines, layers.items(), strict=True):
            assert line.get_label() == name
            np.testing.assert_array_equal(line.get_xydata(), np.transpose(curve))
        assert ax.get_yscale() == "log"
        assert curves.diagnostic(layers, "dead_fraction").get_yscale() == "linear"


class TestConfusion:
    """What was taken for what."""

    def test_counts_are_true_by_predicted(self) -> None:
        labels, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 0])
        result = outcomes.confusion_counts(labels, predicted, 4)
        expected = [[1, 1, 0, 0], [0, 1, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]]
        np.testing.assert_array_equal(result, expected)

    def test_every_count_is_written_in_its_cell(self) -> None:
        ax = outcomes.confusion_matrix(COUNTS * 100, DIGITS)
        written = {text.get_position(): text.get_text() for text in ax.texts}
        expected = {
            (column, row): f"{COUNTS[row, column] * 100:,}" for row, column in np.argwhere(COUNTS)
        }
        assert written == expected
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


class TestScatter:
    """Points in a plane."""

    def test_points_are_where_they_are_in_the_colour_of_their_class(self) -> None:
        ax = scatter.scatter(POINTS, LABELS, DIGITS)
        assert len(ax.collections) == 10
        for label, collection in enumerate(ax.collections):
            offsets = np.asarray(collection.get_offsets())
            np.testing.assert_allclose(offsets, POINTS[label == LABELS])
        assert len({tuple(c.get_facecolor()[0]) for c in ax.collections}) == 10

    def test_each_class_is_named_at_its_median_with_a_white_outline(self) -> None:
        ax = scatter.scatter(POINTS, LABELS, DIGITS)
        for label, text in enumerate(ax.texts):
            assert text.get_text() == str(label)
            middle = np.median(POINTS[label == LABELS], axis=0)
            np.testing.assert_allclose(text.get_position(), middle)
            assert text.get_path_effects()

    def test_misclassified_points_are_ringed_and_some_shown(self) -> None:
        wrong = np.zeros(50, bool)
        wrong[[3, 17, 40]] = True
        ax = scatter.scatter(POINTS, LABELS, DIGITS, wrong=wrong, thumbnails=IMAGES, shown=[3, 40])
        rings = np.asarray(ax.collections[-1].get_offsets())
        np.testing.assert_allclose(rings, POINTS[wrong])
        boxes: list[Any] = [artist for artist in ax.artists if hasattr(artist, "offsetbox")]
        assert len(boxes) == 2
        for box, index in zip(boxes, (3, 40), strict=True):
            np.testing.assert_allclose(box.xy, POINTS[index])
            np.testing.assert_array_equal(box.offsetbox.get_data(), 255 - IMAGES[index, ..., 0])

    def test_a_class_without_points_is_not_named(self) -> None:
        ax = scatter.scatter(POINTS, LABELS % 3, DIGITS)
        assert [text.get_text() for text in ax.texts] == ["0", "1", "2"]

    def test_the_overview_has_a_column_for_each_layer_with_its_two_numbers(self) -> None:
        figure = overview()
        assert len(figure.axes) == 10
        for ax in figure.axes[:5]:
            assert "91.3 %" in ax.get_title()
            assert "0.25" in ax.get_title()
        assert [figure.axes[index].get_ylabel() for index in (0, 5)] == ["PCA", "t-SNE"]


def frames_of(content: bytes) -> tuple[list[np.ndarray], list[int]]:
    """The frames of a GIF, uint8 [h, w, 3], and how long each stays, in milliseconds."""
    frames, durations = [], []
    with Image.open(io.BytesIO(content)) as moving:
        for index in range(getattr(moving, "n_frames", 1)):
            moving.seek(index)
            frames.append(np.asarray(moving.convert("RGB")))
            durations.append(moving.info["duration"])
    return frames, durations


class TestAnimation:
    """GIFs."""

    def test_frames_that_are_all_equal_stay_frames_of_their_own(self) -> None:
        frame = animation.kernel_frames([CONV1])[0]
        stamps = [f"step {n}" for n in range(6)]
        result, durations = frames_of(animation.gif([frame] * 6, stamps, "conv1"))
        assert len(result) == 6
        assert all((one != other).any() for one, other in itertools.pairwise(result))
        assert durations[-1] > 4 * durations[0], "it rests on the last"

    def test_kernels_share_one_range_over_all_steps(self) -> None:
        small, large = animation.kernel_frames([CONV1 / 10, CONV1])
        assert large.min() == 0
        assert 100 < np.median(small) < 155
        inside = small[8:68, 8:68]
        assert np.ptp(inside.astype(int)) < 40, "a tenth of the weights is a tenth of the contrast"

    def test_feature_maps_have_their_own_range_at_each_step(self) -> None:
        small, large = animation.feature_map_frames([MAPS / 10, MAPS])
        assert np.abs(small.astype(int) - large).max() <= 1

    def test_the_stamp_and_the_title_are_on_the_frame(self) -> None:
        frame = np.full((40, 40, 1), 255, np.uint8)
        with Image.open(io.BytesIO(animation.still(frame, "step 7", "conv1 in training"))) as still:
            pixels = np.asarray(still)
        head = animation.STAMP_HEIGHT
        assert pixels[:head].min() < 100, "a title above"
        assert pixels[head:-head].min() == 255
        assert pixels[-head:].min() < 100, "a stamp below"

    def test_only_the_first_units_are_animated(self) -> None:
        (frame,) = animation.unit_image_frames([UNITS])
        np.testing.assert_array_equal(frame, animation.kernel_frames([UNITS[..., :32]])[0])

    @pytest.mark.parametrize("channels", [1, 2, 3])
    def test_kernels_of_any_number_of_channels_are_drawn(self, channels: int) -> None:
        frames = animation.kernel_frames([CONV2[:, :, :channels]] * 2)
        assert {frame.shape[2] for frame in frames} == {1 if channels == 1 else 3}
