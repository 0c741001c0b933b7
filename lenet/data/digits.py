"""The handwritten digits of scikit-learn: small images, always available.

Source: E. Alpaydin & C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
"""

from __future__ import annotations

import numpy as np

from lenet.data.reader import RawImages, RawSplit

CLASSES = tuple("0123456789")
SIDE = 28
TEST_IMAGES_PER_DIGIT = 100


def bundled_digits() -> RawImages:
    """The 1,797 digits, resized from 8x8 to 28x28, the size of MNIST's images.

    Exactly 100 images of each class are for testing, always the same ones. The other 797 are for
    training.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = np.round(digits.images * (255 / 16)).astype(np.uint8)
    images = np.stack(
        [
            np.asarray(Image.fromarray(i).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
            for i in small
        ]
    )
    labels = digits.target.astype(np.int32)
    rng = np.random.default_rng(0)
    in_test = np.zeros(len(labels), bool)
    for label in range(len(CLASSES)):
        of_class = np.flatnonzero(labels == label)
        in_test[rng.permutation(of_class)[:TEST_IMAGES_PER_DIGIT]] = True
    train, test = (
        RawSplit(images[chosen], labels[chosen], "scikit-learn's digits", "scikit-learn's digits")
        for chosen in (~in_test, in_test)
    )
    origin = "enlarged from {}×{}".format(*small.shape[1:])
    return RawImages(train, test, name="digits", class_names=CLASSES, origin=origin)
