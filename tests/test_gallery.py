"""Every figure of a trained run: all are there, show what was recorded, and can be read."""

from __future__ import annotations

import dataclasses
import io
import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

from lenet import registry
from lenet.analysis import classes, embeddings
from lenet.analysis.trained import layer_outputs, load_run, predict
from lenet.data.datasets import Dataset, Split
from lenet.diagnostics import DIAGNOSTICS
from lenet.figures import animation
from lenet.gallery import groups, layers, learning, writing
from lenet.gallery.captioned import CaptionedFigure
from lenet.gallery.run_data import RunData
from lenet.recording import events, inspections

if TYPE_CHECKING:
    from lenet.analysis.trained import TrainedRun
    from lenet.training.trainer import Trainer

CONVOLUTIONS, DENSE = ("conv1", "conv2"), ("fc1", "fc2", "fc3")
LAYERS = (*CONVOLUTIONS, *DENSE)
INSPECTIONS = [0, 30, 60, 90, 120, 150]
HUNDREDS_OF_UNITS = ("top_images", "maximization")
FIGURES = {
    "inputs": ["inputs"],
    "learning_curves": ["learning_curves"],
    "diagnostics": ["diagnostics"],
    "kernels": ["kernels_conv1", "kernels_conv2", "kernels_conv2_by_channel"],
    "feature_maps": ["feature_maps"],
    "fc_matrices": ["fc_matrices"],
    "fc2_maps": ["fc2_maps"],
    "fc2_sorted": ["fc2_sorted"],
    "fc2_map": [f"fc2_map_{label}" for label in range(10)],
    "fc2_means": ["fc2_means"],
    "confusion_matrix": ["confusion_matrix"],
    "mistakes": ["mistakes"],
    "evolution": [
        f"{kind}_{layer}"
        for layer in CONVOLUTIONS
        for kind in ("kernel_evolution", "feature_map_evolution")
    ],
    "top_images": [f"top_images_{layer}" for layer in LAYERS[:-1]],
    "maximization": [*(f"maximization_{layer}" for layer in LAYERS), "maximization_evolution"],
    "attribution": [f"attribution_{position}" for position in range(4)],
    "embeddings": [
        "embeddings",
        *(f"embedding_{layer}_{method}" for method in ("pca", "tsne") for layer in LAYERS),
    ],
}


class Drawn:
    """The groups of a run, each drawn once, with what was warned of."""

    def __init__(self, run: TrainedRun, dataset: Dataset, **options: Any) -> None:
        self.warnings: list[str] = []
        self.run, self.dataset = run, dataset
        self.data = RunData(run, dataset, warn=self.warnings.append, **options)
        self.groups = {group.name: group for group in groups.groups_of(self.data.feature_layer)}
        self._figures: dict[str, list[CaptionedFigure]] = {}

    def __getitem__(self, group: str) -> list[CaptionedFigure]:
        if group not in self._figures:
            self._figures[group] = list(self.groups[group].draw(self.data))
        return self._figures[group]

    def figure(self, group: str, index: int = 0) -> Figure:
        content = self[group][index].content
        assert isinstance(content, Figure)
        return content


@pytest.fixture(scope="module")
def drawn(learned: Trainer, digits: Dataset) -> Drawn:
    """The gallery of a run on the bundled digits, read back from its folder."""
    return Drawn(load_run(learned.history.run), digits, samples=60)


def shown(figure: Figure) -> list[np.ndarray]:
    """The arrays of all images in a figure except the colour bars."""
    return [
        np.ma.getdata(figure.get_array())
        for ax in figure.axes
        for figure in ax.images
        if isinstance(figure, AxesImage)
    ]


def text_of(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def test_units_can_be_sorted_by_class_in_all_maps(drawn: Drawn) -> None:
    in_order = Drawn(drawn.run, drawn.dataset, sort_units=True)
    features, labels = drawn.data.outputs[1], drawn.dataset.test.labels
    order, speaks_for = classes.unit_order(classes.class_means(features, labels)[0])
    groups_of_units = speaks_for[order][speaks_for[order] >= 0]
    assert (np.diff(groups_of_units) >= 0).all() and len(set(groups_of_units)) > 5
    for group in ("fc2_map", "fc2_means"):
        raw, figure = drawn.figure(group), in_order.figure(group)
        np.testing.assert_array_equal(shown(figure)[0], shown(raw)[0][:, order])
        numbers = [int(label.get_text()) for label in figure.axes[0].get_xticklabels()]
        assert numbers == order.tolist()
    for figure, raw in zip(
        shown(in_order.figure("fc2_maps")), shown(drawn.figure("fc2_maps")), strict=True
    ):
        np.testing.assert_array_equal(figure, raw[:, order])
    maps = layers.features_by_class(drawn.data)
    together = np.concatenate([each[: layers.SORTED_ROWS] for each in maps])
    np.testing.assert_array_equal(shown(drawn.figure("fc2_sorted"))[1], together[:, order])
    assert "sorted units" in text_of(in_order.figure("fc2_maps"))


def test_groups_come_in_the_order_of_the_page(drawn: Drawn) -> None:
    expected = ["architecture", *FIGURES]
    expected.insert(expected.index("feature_maps"), "weight_images")
    assert list(drawn.groups) == expected
    left_out = [name for name, group in drawn.groups.items() if not group.applies(drawn.data)]
    assert left_out == ["weight_images"]
    assert [name for name, group in drawn.groups.items() if group.arrays] == ["fc2_maps"]


def test_an_accuracy_on_few_test_images_has_its_interval_on_the_page(drawn: Drawn) -> None:
    test = Split(drawn.dataset.test.images[:30], drawn.dataset.test.labels[:30])
    few = RunData(drawn.run, dataclasses.replace(drawn.dataset, test=test))
    assert "(30 test images: 95 % interval" in writing._facts(few)["test accuracy"]
    assert "interval" not in writing._facts(drawn.data)["test accuracy"]


def test_text_that_becomes_too_small_names_the_width_that_it_needs(
    drawn: Drawn, tmp_path: Path
) -> None:
    wanted = [drawn.groups["learning_curves"]]
    writing.write(drawn.data, tmp_path, wanted, width=2.0)
    [warning] = [text for text in drawn.warnings if "learning_curves" in text]
    found = re.fullmatch(r"some text of \w+ has only ([\d.]+) points.*: --width ([\d.]+)", warning)
    assert found and float(found[1]) < 5
    drawn.warnings.remove(warning)
    writing.write(drawn.data, tmp_path, wanted, width=float(found[2]))
    assert drawn.warnings == []


def test_a_name_that_no_group_has_is_refused() -> None:
    assert tuple(group.name for group in groups.groups_of("fc2")) == registry.FIGURE_GROUPS
    chosen = groups.select(["fc1_maps", "kernels"], "fc1")
    assert [group.name for group in chosen] == ["kernels", "fc1_maps"]
    assert [group.heading for group in chosen] == ["Kernels", "fc1, all classes"]
    with pytest.raises(ValueError, match="name some of architecture, .*fc1_map.*: fc2_maps"):
        groups.select(["kernels", "fc2_maps"], "fc1")
    with pytest.raises(ValueError, match=r"Received: kernel\. Did you mean kernels\?"):
        groups.select(["kernel"], "fc2")
    with pytest.raises(ValueError, match=r"Received: fc2_maps:7\. Did you mean fc2_map:7\?"):
        groups.select(["fc2_maps:7"], "fc2")


@pytest.mark.parametrize(
    ("words", "labels"), [(["fc2_map:b"], [1]), (["fc2_map:2", "fc2_map:0"], [0, 2])]
)
def test_some_classes_are_chosen_by_name_or_number(words: list[str], labels: list[int]) -> None:
    [group] = groups.select(words, "fc2", ("a", "b", "c"))
    assert (group.name, group.partial) == ("fc2_map", True)
    assert group.draw.keywords == {"labels": labels}
    [whole] = groups.select(["fc2_map"], "fc2", ("a", "b", "c"))
    assert not whole.partial


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("fc2_map:d", "Expected a class: a, b, c. Received: d"),
        ("fc2_map:3", "Received: 3"),
        ("kernels:a", "fc2_map\\[:CLASS\\], .* Received: kernels:a"),
    ],
)
def test_a_class_that_does_not_exist_is_refused(word: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        groups.select([word], "fc2", ("a", "b", "c"))


@pytest.mark.parametrize("group", FIGURES)
def test_each_group_draws_its_figures_with_legible_text(
    drawn: Drawn, group: str, check_legible: Callable[..., None]
) -> None:
    figures = drawn[group]
    assert [figure.name for figure in figures] == FIGURES[group]
    for figure in figures:
        assert re.fullmatch(r"[A-Z].{30,}[.?]", figure.caption), "a caption for a student"
        if isinstance(figure.content, Figure):
            check_legible(figure.content, "0123456789" if group == "embeddings" else ())


def test_feature_maps_of_classes_are_exactly_the_outputs_of_the_network(drawn: Drawn) -> None:
    _, features = predict(drawn.run.model, drawn.dataset.test.images)
    maps = layers.features_by_class(drawn.data)
    assert len(maps) == 10
    for label, values in enumerate(maps):
        assert values.dtype == np.float32
        assert values.shape == (100, 84)
        rows = [n for n, truth in enumerate(drawn.dataset.test.labels) if truth == label][:100]
        np.testing.assert_array_equal(values, features[rows])
        alone = drawn.run.model(drawn.dataset.test.images[rows] / np.float32(255))[1]
        np.testing.assert_allclose(values, alone, rtol=1e-4, atol=1e-5)
        (figure,) = shown(drawn.figure("fc2_map", label))
        np.testing.assert_array_equal(figure, values)
        assert f"class {label}: 100 test images × 84 units" in text_of(
            drawn.figure("fc2_map", label)
        )
    together = shown(drawn.figure("fc2_maps"))
    for figure, values in zip(together, [*maps, *maps], strict=True):
        np.testing.assert_array_equal(figure, values)


def test_class_means_are_means(drawn: Drawn) -> None:
    _, features = predict(drawn.run.model, drawn.dataset.test.images)
    labels = drawn.dataset.test.labels
    expected = [features[labels == label].mean(0) for label in range(10)]
    np.testing.assert_allclose(shown(drawn.figure("fc2_means"))[0], expected, rtol=1e-5)


def test_curves_are_what_the_event_files_contain(drawn: Drawn) -> None:
    figure = drawn.figure("learning_curves")
    for ax, tag in zip(figure.axes, ("loss", "accuracy"), strict=True):
        train, test = (
            events.read_scalars(drawn.run.path / split)[tag] for split in ("train", "test")
        )
        np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.transpose(train))
        np.testing.assert_array_equal(ax.lines[2].get_xydata(), np.transpose(test))


def test_diagnostics_are_what_the_inspections_contain(drawn: Drawn) -> None:
    recorded = inspections.load_all(drawn.run.path / "inspections", pytest.fail)
    kinds = tuple(DIAGNOSTICS)
    for ax, kind in zip(drawn.figure("diagnostics").axes, kinds, strict=True):
        steps = INSPECTIONS[1:] if kind == "update_ratio" else INSPECTIONS
        for line, layer in zip(ax.lines, LAYERS, strict=True):
            assert line.get_label() == layer
            values = [float(recorded[step][f"{layer}/{kind}"]) for step in steps]
            np.testing.assert_allclose(line.get_xydata(), np.transpose([steps, values]))


def test_matrices_are_the_networks_weights(drawn: Drawn) -> None:
    for figure, layer in zip(shown(drawn.figure("fc_matrices")), DENSE, strict=True):
        kernel = np.asarray(drawn.run.model.weight_layers[layer].kernel)
        np.testing.assert_array_equal(figure, kernel.T)


def test_the_confusion_matrix_counts_every_test_image_once(drawn: Drawn) -> None:
    logits, _ = predict(drawn.run.model, drawn.dataset.test.images)
    labels = drawn.dataset.test.labels
    (counts,) = shown(drawn.figure("confusion_matrix"))
    assert counts.sum() == 1000
    right = np.mean(logits.argmax(1) == labels)
    assert counts.trace() / 1000 == right == drawn.data.accuracy
    assert f"{100 * right:.2f} %" in text_of(drawn.figure("confusion_matrix"))


def test_animations_have_a_frame_for_each_inspection(drawn: Drawn) -> None:
    inside = slice(animation.STAMP_HEIGHT, -animation.STAMP_HEIGHT)
    for figure in drawn["evolution"]:
        assert figure.suffix == ".gif"
        assert isinstance(figure.content, bytes)
        with Image.open(io.BytesIO(figure.content)) as moving:
            frames = []
            for index in range(moving.n_frames):
                moving.seek(index)
                frames.append(np.asarray(moving.convert("RGB"))[inside])
        assert len(frames) == len(INSPECTIONS)
        for one, other in itertools.pairwise(frames):
            assert (one != other).any(), "the image itself moves, not only its stamp"
        with Image.open(io.BytesIO(figure.still)) as still:
            last = np.asarray(still.convert("RGB"))[inside]
        difference = np.abs(last.astype(int) - frames[-1])
        assert difference.mean() < 8, "the last frame, but for a GIF's 256 colours"


def test_stamps_are_step_and_test_accuracy(drawn: Drawn) -> None:
    steps, accuracies = events.read_scalars(drawn.run.path / "test")["accuracy"]
    known = {step: accuracies[steps <= step][-1] for step in INSPECTIONS}
    expected = [f"step {s:,}   test accuracy {100 * known[s]:.1f} %" for s in INSPECTIONS]
    assert learning.step_stamps(drawn.data) == expected


def test_titles_of_embeddings_have_the_two_numbers_measured_on_all_outputs(
    drawn: Drawn,
) -> None:
    chosen = np.arange(60) * 1000 // 60
    labels = drawn.dataset.test.labels[chosen]
    passed_on = {"conv1": "pool1", "conv2": "pool2", "fc1": "fc1", "fc2": "fc2", "fc3": "fc3"}
    for index, figure in enumerate(drawn["embeddings"][1:], 1):
        layer = figure.name.split("_")[1]
        outputs = layer_outputs(
            drawn.run.model, drawn.dataset.test.images[chosen], passed_on[layer]
        )
        numbers = embeddings.separation(outputs.reshape(60, -1), labels)
        title = text_of(drawn.figure("embeddings", index))
        assert f"accuracy {100 * numbers.knn_accuracy:.1f} %" in title
        assert f"silhouette {numbers.silhouette:.2f}" in title


@pytest.fixture(scope="module")
def few(fit: Callable[..., Trainer], tiny: Dataset) -> Drawn:
    """The gallery of a run on 30 test images that recorded no inspections."""
    return Drawn(load_run(fit().history.run), tiny)


class TestUnusualRuns:
    """Not every run is a textbook example."""

    def test_fewer_images_of_a_class_are_used_and_mentioned(self, few: Drawn) -> None:
        assert [len(values) for values in layers.features_by_class(few.data)] == [10, 10, 10]
        assert "10 test images of each class (all available)" in text_of(few.figure("fc2_maps"))
        assert "10 test images (all available)" in text_of(few.figure("fc2_map"))

    def test_without_inspections_it_says_what_is_missing(self, few: Drawn) -> None:
        assert (few["diagnostics"], few["evolution"]) == ([], [])
        assert sum("recorded no inspections" in warning for warning in few.warnings) == 1
        assert sum("no animations" in warning for warning in few.warnings) == 1

    def test_a_class_without_test_images_is_left_out(
        self, few: Drawn, check_legible: Callable[..., None]
    ) -> None:
        test = few.dataset.test
        kept = test.labels != 1
        dataset = dataclasses.replace(few.dataset, test=Split(test.images[kept], test.labels[kept]))
        drawn = Drawn(few.run, dataset, samples=50)
        assert [figure.name for figure in drawn["fc2_map"]] == ["fc2_map_0", "fc2_map_2"]
        assert drawn.warnings == ["no fc2 map of class b, because it has no test images"]
        for group in ("fc2_maps", "fc2_means", "confusion_matrix", "mistakes"):
            check_legible(drawn.figure(group))

    def test_names_with_dollars_and_brackets_are_only_names(
        self, few: Drawn, check_legible: Callable[..., None]
    ) -> None:
        names = (r"$\frac$ and $x", "<b>$5</b>", "100 %$_")
        drawn = Drawn(dataclasses.replace(few.run, class_names=names), few.dataset)
        for group in ("fc2_map", "confusion_matrix"):
            for figure in drawn[group]:
                assert isinstance(figure.content, Figure)
                figure.content.savefig(io.BytesIO(), dpi=20)
        assert names[0] in drawn["fc2_map"][0].caption

    def test_a_dead_network_is_drawn_and_a_sorted_test_set_shows_all_its_classes(
        self, fit: Callable[..., Trainer], tiny: Dataset, check_legible: Callable[..., None]
    ) -> None:
        """A dead network has the same features for all images: scikit-learn's t-SNE would crash."""
        run = load_run(fit().history.run)
        for layer in run.model.weight_layers.values():
            layer.set_weights([0 * weights for weights in layer.get_weights()])
        order = np.argsort(tiny.test.labels, kind="stable")
        test = Split(tiny.test.images[order], tiny.test.labels[order])
        drawn = Drawn(run, dataclasses.replace(tiny, test=test), samples=9)
        for group in ("kernels", "feature_maps", "fc2_maps", "fc2_means"):
            check_legible(drawn.figure(group))
        assert len(drawn["embeddings"]) == 11
        assert set("abc") <= set(text_of(drawn.figure("embeddings", 1)).split("\n"))

    def test_images_of_one_class_alone_have_no_embeddings(self, few: Drawn) -> None:
        kept = few.dataset.test.labels == 0
        test = Split(few.dataset.test.images[kept], few.dataset.test.labels[kept])
        drawn = Drawn(few.run, dataclasses.replace(few.dataset, test=test))
        assert drawn["embeddings"] == []
        assert "no embeddings" in drawn.warnings[0]


@pytest.fixture(scope="module")
def mlp(fit: Callable[..., Trainer], tiny: Dataset) -> Drawn:
    """The figures of a network without convolutions."""
    trainer = fit(model="mlp", epochs=2, inspect_every=1)
    return Drawn(load_run(trainer.history.run), tiny, samples=30)


class TestFullyConnected:
    """A network without convolutions has its own figures, and no empty ones."""

    def test_groups_about_convolutions_do_not_apply(self, mlp: Drawn) -> None:
        names = [name for name, group in mlp.groups.items() if not group.applies(mlp.data)]
        assert names == ["kernels", "feature_maps"]

    def test_most_others_are_drawn_without_a_warning(
        self, mlp: Drawn, check_legible: Callable[..., None]
    ) -> None:
        left_out = ("architecture", *HUNDREDS_OF_UNITS)
        self.check_groups(mlp, [n for n in mlp.groups if n not in left_out], check_legible)

    @pytest.mark.slow
    def test_figures_of_all_units_are_drawn_without_a_warning(
        self, mlp: Drawn, check_legible: Callable[..., None]
    ) -> None:
        self.check_groups(mlp, HUNDREDS_OF_UNITS, check_legible)

    def check_groups(
        self, mlp: Drawn, names: Sequence[str], check_legible: Callable[..., None]
    ) -> None:
        for name in names:
            if not mlp.groups[name].applies(mlp.data):
                continue
            assert mlp[name], name
            for figure in mlp[name]:
                if isinstance(figure.content, Figure):
                    check_legible(figure.content, "abc" if name == "embeddings" else ())
        assert mlp.warnings == []

    def test_weights_are_shown_in_the_shape_of_the_images(self, mlp: Drawn) -> None:
        assert [f.name for f in mlp["weight_images"]] == ["weight_images_fc1", "weight_changes_fc1"]
        kernel = np.asarray(mlp.run.model.weight_layers["fc1"].kernel)
        start = mlp.data.recorded[0]["fc1/kernel"]
        for index, weights in enumerate((kernel, kernel - start)):
            canvas = shown(mlp.figure("weight_images", index))[0]
            for unit in (0, 19, 20, 299):
                top, left = unit // 20 * 14, unit % 20 * 14
                tile = canvas[top : top + 12, left : left + 12]
                np.testing.assert_array_equal(tile, weights[:, unit].reshape(12, 12))

    def test_they_are_animated(self, mlp: Drawn) -> None:
        (figure,) = mlp["evolution"]
        assert (figure.name, figure.suffix) == ("weight_images_evolution_fc1", ".gif")
        assert isinstance(figure.content, bytes)
        with Image.open(io.BytesIO(figure.content)) as moving:
            assert getattr(moving, "n_frames", 1) == len(mlp.data.recorded) > 2

    def test_a_kernel_too_large_to_be_recorded_is_not_animated(
        self, fit: Callable[..., Trainer], make_dataset: Callable[..., Dataset]
    ) -> None:
        photos = make_dataset(pixels=34, channels=3)
        trainer = fit(photos, model="mlp", epochs=1, inspect_every=1)
        drawn = Drawn(load_run(trainer.history.run), photos)
        assert [figure.name for figure in drawn["weight_images"]] == ["weight_images_fc1"]
        assert drawn["evolution"] == []
        assert drawn.warnings == [
            "no animation of fc1, because its kernel is too large to be recorded"
        ]
