"""The files TensorBoard's projector reads: points, what is said of them, thumbnails."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector import ProjectorConfig

from lenet.analysis.trained import predict
from lenet.recording import projector

if TYPE_CHECKING:
    from lenet.data.datasets import Dataset
    from lenet.training.trainer import Trainer

FILES = {
    "projector_config.pbtxt",
    "projector_points.tsv",
    "projector_labels.tsv",
    "projector_sprite.png",
}


def read_points(folder: Path) -> np.ndarray:
    """The points, float [n, d]."""
    return np.loadtxt(folder / "projector_points.tsv", delimiter="\t", ndmin=2)


def read_rows(folder: Path) -> list[dict[str, str]]:
    """What is said of each point."""
    with (folder / "projector_labels.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def thumbnails(folder: Path, count: int, height: int, width: int) -> np.ndarray:
    """The first thumbnails of the sprite, as TensorBoard cuts it: uint8 [n, h, w, channels]."""
    with Image.open(folder / "projector_sprite.png") as picture:
        sprite = np.asarray(picture).reshape(picture.height, picture.width, -1)
    columns = sprite.shape[1] // width
    places = [divmod(index, columns) for index in range(count)]
    cut = [sprite[r * height : (r + 1) * height, c * width : (c + 1) * width] for r, c in places]
    return np.stack(cut)


@pytest.fixture(scope="module")
def folder(learned: Trainer) -> Path:
    """Where a run's test writer writes."""
    return learned.history.run / "test"


class TestARun:
    """What a run leaves in its test writer's folder."""

    def test_the_config_names_the_files_beside_it(self, folder: Path) -> None:
        text = (folder / "projector_config.pbtxt").read_text()
        config = text_format.Parse(text, ProjectorConfig())
        (shown,) = config.embeddings
        assert shown.tensor_name == "fc2"
        named = {shown.tensor_path, shown.metadata_path, shown.sprite.image_path}
        assert named == FILES - {"projector_config.pbtxt"}
        assert list(shown.sprite.single_image_dim) == [28, 28]
        assert {path.name for path in folder.glob("*projector*")} == FILES, "nothing half-written"

    def test_the_points_are_what_the_trained_network_makes_of_the_test_images(
        self, learned: Trainer, digits: Dataset, folder: Path
    ) -> None:
        _, features = predict(learned.model, digits.test.images[:1000])
        points = read_points(folder)
        assert points.shape == (1000, 84)
        np.testing.assert_allclose(points, features, rtol=1e-4, atol=1e-6)

    def test_each_row_says_what_its_image_is_and_what_it_was_taken_for(
        self, learned: Trainer, digits: Dataset, folder: Path
    ) -> None:
        logits, _ = predict(learned.model, digits.test.images[:1000])
        rows = read_rows(folder)
        assert [row["label"] for row in rows] == [str(n) for n in digits.test.labels[:1000]]
        assert [row["predicted"] for row in rows] == [str(n) for n in logits.argmax(1)]
        assert {row["outcome"] for row in rows} == {"right", "wrong"}
        for row in rows:
            right = row["label"] == row["predicted"]
            assert row["outcome"] == ("right" if right else "wrong")
            end = "right" if right else f"taken for {row['predicted']}"
            assert row["answer"] == f"{row['label']}, {end}"

    def test_the_first_column_is_no_number_so_that_tensorboard_shows_it(self, folder: Path) -> None:
        rows = read_rows(folder)
        assert next(iter(rows[0])) == "answer"
        assert not any(row["answer"].isdigit() for row in rows)

    def test_thumbnails_are_the_images_with_dark_ink(self, digits: Dataset, folder: Path) -> None:
        found = thumbnails(folder, 1000, 28, 28)
        np.testing.assert_array_equal(found, 255 - digits.test.images[:1000])


class TestWriting:
    """Files of other shapes, and names of other kinds."""

    @pytest.mark.parametrize(("channels", "count"), [(1, 5), (3, 4), (3, 10)])
    def test_colour_images_keep_their_colours(
        self, tmp_path: Path, channels: int, count: int
    ) -> None:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 255, (count, 6, 8, channels), dtype=np.uint8)
        labels = np.zeros(count, np.int32)
        projector.write(tmp_path, "fc2", rng.normal(size=(count, 3)), images, labels, labels, "ab")
        expected = images if channels == 3 else 255 - images
        np.testing.assert_array_equal(thumbnails(tmp_path, count, 6, 8), expected)
        config = text_format.Parse(
            (tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig()
        )
        assert list(config.embeddings[0].sprite.single_image_dim) == [8, 6], "width, then height"

    def test_a_class_name_with_tabs_and_lines_spoils_no_table(self, tmp_path: Path) -> None:
        images = np.zeros((2, 4, 4, 1), np.uint8)
        names = ['ankle\tboot\nor "shoe"', "süß"]
        projector.write(
            tmp_path, "fc2", np.zeros((2, 3)), images, np.array([0, 1]), np.array([0, 0]), names
        )
        rows = read_rows(tmp_path)
        assert [row["label"] for row in rows] == ['ankle boot or "shoe"', "süß"]
        assert [row["outcome"] for row in rows] == ["right", "wrong"]

    def test_writing_again_replaces_everything(self, tmp_path: Path) -> None:
        for count in (9, 2):
            labels = np.arange(count) % 2
            images = np.full((count, 4, 4, 1), count, np.uint8)
            features = np.full((count, 3), count, np.float32)
            projector.write(tmp_path, "fc2", features, images, labels, labels, "ab")
        assert {path.name for path in tmp_path.iterdir()} == FILES
        np.testing.assert_array_equal(read_points(tmp_path), np.full((2, 3), 2))
        assert len(read_rows(tmp_path)) == 2
        assert (thumbnails(tmp_path, 2, 4, 4) == 253).all()
