"""Numbers as the sentences of a diagnosis show them, always in the same way."""

from __future__ import annotations

import math

# With fewer test images, one image is more than 0.02 %, so a second decimal has no meaning.
TWO_DECIMALS_FROM = 5_000


def percent(share: float) -> str:
    """A share from 0 to 1 with at most one decimal, e.g. "31 %" or "98.7 %"."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def accuracy_decimals(test_images: int) -> int:
    """The decimals with which accuracies in percent are shown everywhere."""
    return 2 if test_images >= TWO_DECIMALS_FROM else 1


def loss_text(loss: float) -> str:
    """A loss in nats, e.g. "2.303"; large ones with three digits, e.g. "12,300" or "1.2e+09"."""
    if not math.isfinite(loss):
        return "not a finite number"
    return f"{loss:.3f}" if abs(loss) < 1_000 else number(loss)


def number(value: float) -> str:
    """Any number with two significant digits, e.g. "0.0021", "12", "3,400" or "1.3e-07"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if not 1e-6 <= abs(value) < 1e6:
        return f"{value:.1e}"
    decimals = max(0, 1 - math.floor(math.log10(abs(value))))
    rounded = round(value, 1 - math.floor(math.log10(abs(value))))
    return f"{rounded:,.{decimals}f}"


def fraction(ratio: float) -> str:
    """A ratio below 1 as a fraction, e.g. "1/145"."""
    return f"1/{1 / ratio:,.0f}" if 1 / ratio >= 10 else f"1/{1 / ratio:.2g}"
