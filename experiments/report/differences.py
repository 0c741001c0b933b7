"""Which combinations differ by more than chance, and the confidence interval of each difference.

`METHOD` explains the method in a few sentences. It consists of three parts:

- The variance over seeds is moderated by the other pairs: Smyth (2004), "Linear models and
  empirical Bayes methods for assessing differential expression in microarray experiments", sections
  4 and 6.
- Seeds and images are two crossed random effects: Dorfman, Berbaum, Metz (1992), "Receiver
  operating characteristic rating analysis". With one seed, this is McNemar's test as an interval.
- The intervals are simultaneous for all pairs: Tukey's studentized range, for unequal variances as
  in Games and Howell (1976).

docs/statistics.md shows how often the method is wrong in simulated studies.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from scipy.special import digamma, polygamma

CONFIDENCE = 0.95
METHOD = (
    "Runs with the same network and seed start from the same weights and use the same batches, so two "
    "combinations are compared seed by seed. A few seeds are not enough to estimate the variance "
    "of these differences well. Therefore, each variance is moderated: it is moved towards the "
    "usual variance of all pairs, which is larger at lower accuracies (Smyth, 2004). With few seeds, "
    "the usual variance decides, and an interval is several standard errors wide. So two "
    "combinations whose seeds agree well have a wide interval, too. The degrees of freedom are "
    "rounded down, so this interval can even be wider than that of a similar pair. "
    "The test images are also a random sample, and they add to the variance. Their part is computed from the images that only one of the two "
    "networks classifies correctly. Seeds and images are crossed random effects (Dorfman et al., "
    "1992). With one seed, this is McNemar's test. The intervals are simultaneous for all pairs "
    "(Tukey's studentized range). This means that if no two combinations differed, at least one "
    f"interval would exclude 0 in about {1 - CONFIDENCE:.0%} of all studies. The method assumes "
    "that the differences are roughly normally distributed over seeds."
).replace("%", " %")
# Degrees of freedom are rounded down to one of these, because each critical value takes 0.1 s.
FREEDOMS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 30, 40, 60, 120, 500)


@dataclass(frozen=True)
class Scores:
    """The results of the finished runs of one combination.

    Attributes:
        accuracies: the test accuracy of each seed, from 0 to 1.
        correct: for each seed, whether each test image is classified correctly, bool [n]. Runs that
            did not record this are left out.
    """

    accuracies: Mapping[int, float]
    correct: Mapping[int, np.ndarray] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The mean accuracy; NaN without a seed."""
        return float(np.mean(list(self.accuracies.values()))) if self.accuracies else math.nan


@dataclass(frozen=True)
class Difference:
    """The test accuracy of one combination minus that of another.

    Attributes:
        value: the mean over the seeds that both combinations have.
        half_width: half of the width of the confidence interval.
        seeds: the number of these seeds.
        from_images: the half width that would remain with any number of seeds, because the test
            images are a sample.
    """

    value: float
    half_width: float
    seeds: int
    from_images: float = 0.0

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return abs(self.value) > self.half_width


def differences(scores: Sequence[Scores], test_images: int) -> dict[tuple[int, int], Difference]:
    """The difference of each pair (i, j) of combinations that have a seed in common.

    Args:
        scores: one per combination.
        test_images: the number of test images.

    Returns:
        The differences of (i, j) and of (j, i) for each pair.
    """
    pairs = {}
    for i, j in itertools.combinations(range(len(scores)), 2):
        if scores[i].accuracies.keys() & scores[j].accuracies.keys():
            pairs[i, j] = _Pair(scores[i], scores[j], test_images)
    compared = sum(1 for score in scores if score.accuracies)
    variances = _moderated(list(pairs.values()), compared)
    found = {}
    for (i, j), (variance, freedom) in zip(pairs, variances, strict=True):
        found[i, j] = pairs[i, j].difference(variance, freedom, compared)
        found[j, i] = replace(found[i, j], value=-found[i, j].value)
    return found


class _Pair:
    """Two combinations that are compared seed by seed.

    Attributes:
        values: the difference of the accuracies for each common seed.
        scale: the expected variance over seeds at these accuracies, up to a factor that is the same
            for all pairs. A seed changes the log-odds of a correct answer. The same change of the
            log-odds changes an accuracy p in proportion to p(1 − p).
        varies: whether the accuracies of both combinations differ between seeds.
        over_images: the variance of the mean difference due to the choice of the test images.
        of_images: the degrees of freedom of `over_images`.
        within: the variance of a single answer that neither its image nor its seed explains.
        smallest: the smallest variance that can be measured. Smaller ones are replaced by this.
    """

    def __init__(self, one: Scores, other: Scores, test_images: int) -> None:
        seeds = sorted(one.accuracies.keys() & other.accuracies.keys())
        both = np.array([[score.accuracies[seed] for seed in seeds] for score in (one, other)])
        self.values = both[0] - both[1]
        means = (both.mean(1) * test_images + 0.5) / (test_images + 1)  # Never exactly 0 or 1.
        self.scale = float(np.sum((means * (1 - means)) ** 2))
        self.varies = bool((np.ptp(both, axis=1) > 0).all())
        # Accuracies are multiples of 1 / n. This is the variance of the rounding of two of them.
        self.smallest = 1 / (6 * test_images**2)
        self.of_images = max(1, test_images - 1)
        answers = [score.correct.get(seed) for score in (one, other) for seed in seeds]
        if all(answer is not None and len(answer) == test_images for answer in answers):
            correct = np.array(answers, np.float32).reshape(2, len(seeds), test_images)
            self.over_images, self.within = _over_images(correct[0] - correct[1])
        else:  # A cautious assumption: the mistakes of the two networks are independent.
            self.over_images = float(np.sum(means * (1 - means))) / test_images
            self.within = 0.0

    @property
    def freedom(self) -> int:
        return len(self.values) - 1

    @property
    def variance(self) -> float:
        """The variance of the difference over seeds; NaN with one seed."""
        return max(float(np.var(self.values, ddof=1)), self.smallest) if self.freedom else math.nan

    def difference(self, variance: float, freedom: float, compared: int) -> Difference:
        """The difference with its interval.

        Args:
            variance, freedom: the moderated variance over seeds and its degrees of freedom. The
                latter are 0 if the variance is unknown.
            compared: the number of combinations.
        """
        seeds = len(self.values)
        parts: list[tuple[float, float]] = [(self.over_images, self.of_images)]
        if freedom:  # `within` is a part of the variance over seeds, which cannot be smaller.
            parts.append((max(variance, self.within / (self.of_images + 1)) / seeds, freedom))
        total = max(sum(part for part, _ in parts), self.smallest)
        # The degrees of freedom of a sum of variances, from Satterthwaite's formula.
        combined = total**2 / max(sum(part**2 / freedom for part, freedom in parts), 1e-30)
        half_width = critical_value(compared, combined) * math.sqrt(total)
        from_images = critical_value(compared, self.of_images) * math.sqrt(self.over_images)
        return Difference(float(self.values.mean()), half_width, seeds, from_images)


def _over_images(differences: np.ndarray) -> tuple[float, float]:
    """Splits the variance of the differences of single answers into two parts.

    Args:
        differences: float32 [seeds, n]: 1 if only the first network is correct, −1 if only the
            second network is correct, otherwise 0.

    Returns:
        The variance of the mean difference due to the choice of images, and the variance of a single
        answer that neither the image nor the seed explains (0 with one seed).
    """
    seeds, size = differences.shape
    of_images = float(differences.mean(0, dtype=np.float64).var(ddof=1))
    if seeds == 1:
        return of_images / size, 0.0
    of_seeds = float(differences.mean(1, dtype=np.float64).var(ddof=1))
    squares = float(differences.var(dtype=np.float64)) * seeds * size
    squares -= of_images * seeds * (size - 1) + of_seeds * size * (seeds - 1)
    interaction = max(0.0, squares / ((seeds - 1) * (size - 1)))
    return max(0.0, of_images - interaction / seeds) / size, interaction


def _moderated(pairs: Sequence[_Pair], compared: int) -> list[tuple[float, float]]:
    """The moderated variance over seeds of each pair, and its degrees of freedom."""
    known = [pair for pair in pairs if pair.freedom and pair.varies]
    usual, weight = _prior(
        np.array([pair.variance / pair.scale for pair in known]),
        np.array([pair.freedom for pair in known], float),
    )
    # The pairs share their combinations, so all pairs together have at most this freedom.
    most = (compared - 1) * max((pair.freedom for pair in pairs), default=0)
    moderated = []
    for pair in pairs:
        share = 1.0 if math.isinf(weight) else weight / max(weight + pair.freedom, 1e-12)
        own = pair.variance if pair.freedom else 0.0
        variance = share * usual * pair.scale + (1 - share) * own
        moderated.append((variance, max(pair.freedom, min(pair.freedom + weight, most))))
    return moderated


def _prior(variances: np.ndarray, freedoms: np.ndarray) -> tuple[float, float]:
    """The usual variance of all pairs, and its degrees of freedom.

    Args:
        variances: the variance of each pair divided by its scale, float [n].
        freedoms: the degrees of freedom of these variances, float [n].

    Returns:
        The variance and its degrees of freedom. The latter are infinite if the variances differ no
        more than by chance, and 0 if there are fewer than two variances.
    """
    if len(variances) < 2:
        return 0.0, 0.0
    logs = np.log(variances) - digamma(freedoms / 2) + np.log(freedoms / 2)
    by_chance = float(polygamma(1, freedoms / 2).mean())
    # Pairs that share a combination have similar variances. Therefore, the variance of the
    # logarithms is too small. It lacks half of `sharing` if it comes from real differences, and a
    # quarter of `sharing` if it comes from chance.
    combinations = (1 + math.sqrt(1 + 8 * len(variances))) / 2
    sharing = 2 * (combinations - 2) / (len(variances) - 1)
    excess = (float(logs.var(ddof=1)) - (1 - sharing / 4) * by_chance) / (1 - sharing / 2)
    if excess <= 0:
        return float(np.exp(logs.mean())), math.inf
    half = _inverse_trigamma(excess)
    return float(np.exp(logs.mean() + digamma(half) - math.log(half))), 2 * half


def _inverse_trigamma(value: float) -> float:
    """The x with trigamma(x) = `value`, from Newton's method (Smyth, 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def critical_value(compared: int, freedom: float) -> float:
    """The number of standard errors that a clear difference exceeds.

    Args:
        compared: the number of combinations.
        freedom: the degrees of freedom of the standard error.
    """
    return _critical_value(compared, max(f for f in FREEDOMS if f <= max(1.0, freedom)))


@lru_cache(maxsize=256)
def _critical_value(compared: int, freedom: int) -> float:
    from scipy.stats import studentized_range  # The import takes a second.

    return float(studentized_range.ppf(CONFIDENCE, compared, freedom)) / math.sqrt(2)
