"""The order in which images are seen, and the images that every inspection uses."""

from __future__ import annotations

import numpy as np

from lenet.data.datasets import Dataset, Split
from lenet.data.sampling import choose_probe, epoch_order


def test_every_image_is_seen_once_an_epoch() -> None:
    order = epoch_order(seed=3, epoch=2, size=1000)
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))


def test_seed_and_epoch_alone_decide_the_order() -> None:
    np.testing.assert_array_equal(epoch_order(3, 2, 100), epoch_order(3, 2, 100))
    orders = {epoch_order(seed, epoch, 100).tobytes() for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_order_is_the_same_on_every_machine() -> None:
    """A run resumed after an update of NumPy must see the images it would have seen."""
    assert epoch_order(0, 0, 8).tolist() == [2, 4, 3, 6, 5, 0, 1, 7]


def test_the_probe_has_equally_many_images_of_each_class(tiny: Dataset) -> None:
    probe = choose_probe(tiny.train, tiny.test, 30)
    assert np.bincount(probe.labels).tolist() == [10, 10, 10]
    assert (np.diff(probe.labels) >= 0).all()
    np.testing.assert_array_equal(probe.test_image, tiny.test.images[0])


def test_the_probe_has_fewer_images_if_they_are_large() -> None:
    split = Split(np.zeros((60, 224, 224, 3), np.uint8), np.arange(60, dtype=np.int32) % 2)
    assert np.bincount(choose_probe(split, split).labels).tolist() == [10, 10]


def test_the_probe_is_made_of_training_images(tiny: Dataset) -> None:
    probe = choose_probe(tiny.train, tiny.test, 30)
    known = {i.tobytes(): n for i, n in zip(tiny.train.images, tiny.train.labels, strict=True)}
    for image, label in zip(probe.images, probe.labels, strict=True):
        assert known[image.tobytes()] == label
    assert len({image.tobytes() for image in probe.images}) == 30
