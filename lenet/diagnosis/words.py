"""Numbers as the sentences of a diagnosis show them, always in the same way."""

from __future__ import annotations

import math

# With fewer test images, one image is more than 0.02 %, so a second decimal has no meaning.
TWO_DECIMALS_FROM = 5_000
# With fewer, an accuracy is shown with its interval, which is wider than 3 percentage points.
FEW_TEST_IMAGES = 1_000
NORMAL_QUANTILE = 1.959964  # Of 97.5 %, for a 95 % interval.


def percent(share: float) -> str:
    """A share from 0 to 1 with at most one decimal, e.g. "31 %" or "98.7 %"."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def accuracy_decimals(test_images: int) -> int:
    """The decimals with which accuracies in percent are shown everywhere."""
    return 2 if test_images >= TWO_DECIMALS_FROM else 1


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share (E. B. Wilson, JASA 22, 1927).

    Args:
        share: the share that was measured, from 0 to 1.
        count: the number of images on which it was measured, at least 1.

    Returns:
        The lower and the upper limit, from 0 to 1.
    """
    squared = NORMAL_QUANTILE**2 / count
    centre = (share + squared / 2) / (1 + squared)
    half = math.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    return max(0.0, centre - half), min(1.0, centre + half)


def interval_in_words(share: float, count: int) -> str:
    """What follows an accuracy if there are few test images, or "".

    Args:
        share: the accuracy, from 0 to 1.
        count: the number of test images, or 0 if it is not known.

    Returns:
        E.g. " (14 test images: 95 % interval 39 to 84 %)".
    """
    if not 0 < count < FEW_TEST_IMAGES or not math.isfinite(share):
        return ""
    lower, upper = (f"{100 * limit:.0f}" for limit in wilson_interval(share, count))
    return f" ({count} test images: 95 % interval {lower} to {upper} %)"


def loss_text(loss: float) -> str:
    """A loss in nats, e.g. "0.142" or "2.30"; large ones with two digits, e.g. "12,000".

    A network that guesses among ten classes never has a loss of exactly ln 10. With two decimals,
    its losses have the same text.
    """
    if not math.isfinite(loss):
        return "not a finite number"
    if abs(loss) >= 1_000:
        return number(loss)
    return f"{loss:.{2 if abs(loss) >= 0.9995 else 3}f}"


def number(value: float) -> str:
    """Any number with two significant digits, e.g. "0.0021", "12", "3,400" or "1.3e-07"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if not 1e-6 <= abs(value) < 1e6:
        return f"{value:.1e}"
    rounded = float(f"{value:.1e}")
    return f"{rounded:,.{max(0, 1 - math.floor(math.log10(abs(rounded))))}f}"


def percent_of_size(ratio: float) -> str:
    """A change relative to the size of a kernel, in percent with two significant digits."""
    return f"{number(100 * ratio)} %"


def compared(ratio: float) -> str:
    """A ratio in the words before "that": "1.6 times", "0.83 times" or "1/2.2 of"."""
    return f"{number(ratio)} times" if ratio > 0.5 else f"{fraction(ratio)} of"


def fraction(ratio: float) -> str:
    """A ratio below 1 as a fraction with three digits at most, e.g. "1/145" or "1/12,300"."""
    times = float(f"{1 / ratio:.3g}")
    return f"1/{number(times)}" if not 10 <= times < 1e6 else f"1/{times:,.0f}"
