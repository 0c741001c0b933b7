"""When things are due, and at what learning rate: plain numbers against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lenet.training.learning_rates import learning_rates
from lenet.training.schedule import Schedule, logged_steps

TEN = Schedule(size=95, batch_size=10, epochs=3)


def test_the_last_smaller_batch_is_a_step_too() -> None:
    assert TEN.steps_per_epoch == 10
    assert TEN.total_steps == TEN.last_step == 30
    assert TEN.batch_sizes(0, 10).tolist() == [10] * 9 + [5]
    assert TEN.batch_sizes(8, 4).tolist() == [10, 5, 10, 10]


@pytest.mark.parametrize(("size", "batch_size"), [(60_000, 100), (797, 32), (5, 7), (7, 1), (9, 8)])
def test_every_image_is_in_exactly_one_batch(size: int, batch_size: int) -> None:
    schedule = Schedule(size, batch_size, epochs=2)
    sizes = schedule.batch_sizes(0, schedule.steps_per_epoch)
    assert sizes.sum() == size
    assert sizes.min() >= 1
    assert sizes.max() <= batch_size


def test_steps_know_their_epoch_and_batch() -> None:
    assert [TEN.position(step) for step in (0, 9, 10, 29)] == [(0, 0), (0, 9), (1, 0), (2, 9)]
    assert [TEN.epoch_of(step) for step in (0, 1, 10, 11, 30)] == [0, 1, 1, 2, 3]
    assert [step for step in range(31) if TEN.is_epoch_end(step)] == [10, 20, 30]
    assert [TEN.in_words(step) for step in (20, 27)] == ["after epoch 2", "at step 27 in epoch 3"]


def test_max_steps_stops_early_and_never_late() -> None:
    assert Schedule(95, 10, 3, max_steps=7).last_step == 7
    assert Schedule(95, 10, 3, max_steps=500).last_step == 30
    assert Schedule(95, 10, 3, max_steps=7).total_steps == 30


def walk(schedule: Schedule) -> list[int]:
    """The steps at which the outer loop stops to look."""
    steps = [0]
    while steps[-1] < schedule.last_step:
        steps.append(schedule.next_boundary(steps[-1]))
    return steps


@pytest.mark.parametrize("inspect_every", [0, 1, 2, 7, 40])
@pytest.mark.parametrize("eval_every", [0, 4])
@pytest.mark.parametrize("checkpoint_every", [0, 3, 15])
@pytest.mark.parametrize("max_steps", [None, 1, 23])
def test_the_walk_misses_nothing_that_is_due(
    inspect_every: int, eval_every: int, checkpoint_every: int, max_steps: int | None
) -> None:
    schedule = Schedule(95, 10, 3, max_steps, inspect_every, eval_every, checkpoint_every)
    stops = walk(schedule)
    assert stops == sorted(set(stops))
    assert stops[-1] == schedule.last_step
    for step in range(schedule.last_step + 1):
        if (
            schedule.is_epoch_end(step)
            or schedule.inspection_due(step)
            or schedule.evaluation_due(step)
            or schedule.checkpoint_due(step)
        ):
            assert step in stops


def test_no_call_crosses_the_end_of_an_epoch() -> None:
    for before, after in itertools.pairwise(walk(Schedule(95, 10, 3, inspect_every=7))):
        assert TEN.position(before)[0] == TEN.position(after - 1)[0]


def due(schedule: Schedule, what: str) -> list[int]:
    """The steps at which something is due."""
    return [s for s in range(schedule.last_step + 1) if getattr(schedule, f"{what}_due")(s)]


def test_evaluations_are_due_at_the_start_each_epochs_end_and_as_asked() -> None:
    assert due(TEN, "evaluation") == [0, 10, 20, 30]
    assert due(Schedule(95, 10, 3, eval_every=8), "evaluation") == [0, 8, 10, 16, 20, 24, 30]
    assert due(Schedule(95, 10, 3, max_steps=12), "evaluation") == [0, 10, 12]


def test_checkpoints_are_due_at_each_epochs_end_and_as_asked_but_not_before_training() -> None:
    assert due(TEN, "checkpoint") == [10, 20, 30]
    assert due(Schedule(95, 10, 3, checkpoint_every=8), "checkpoint") == [8, 10, 16, 20, 24, 30]


def test_inspections_are_due_at_the_start_the_end_and_as_asked() -> None:
    assert due(TEN, "inspection") == []
    assert due(Schedule(95, 10, 3, inspect_every=12), "inspection") == [0, 12, 24, 30]
    assert due(Schedule(95, 10, 3, max_steps=1, inspect_every=200), "inspection") == [0, 1]


@pytest.mark.parametrize("log_every", [1, 2, 7, 1000])
def test_the_first_and_the_last_step_are_always_logged(log_every: int) -> None:
    steps = np.arange(1, 31)
    logged = steps[logged_steps(steps, log_every, 30)].tolist()
    assert logged == sorted({1, 30, *range(log_every, 31, log_every)})


class TestLearningRates:
    """The rate of every update."""

    def test_a_constant_rate_is_constant(self) -> None:
        rates = learning_rates("constant", 0.01, 0, 20, 20)
        assert rates.dtype == np.float32
        assert rates.tolist() == [np.float32(0.01)] * 20

    def test_warm_up_is_a_straight_line(self) -> None:
        rates = learning_rates("constant", 1.0, 0, 8, 100, warmup_steps=5)
        np.testing.assert_allclose(rates, [0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])

    def test_a_cosine_falls_from_the_peak_towards_nothing(self) -> None:
        rates = learning_rates("cosine", 2.0, 0, 10, 10)
        expected = [2 * (1 + math.cos(math.pi * done / 10)) / 2 for done in range(10)]
        np.testing.assert_allclose(rates, expected, rtol=1e-6)

    def test_a_cosine_starts_where_the_warm_up_ends(self) -> None:
        rates = learning_rates("cosine", 2.0, 0, 14, 14, warmup_steps=4)
        np.testing.assert_allclose(rates[:4], [0.5, 1.0, 1.5, 2.0])
        expected = [2 * (1 + math.cos(math.pi * done / 10)) / 2 for done in range(10)]
        np.testing.assert_allclose(rates[4:], expected, rtol=1e-6)

    def test_one_cycle_rises_for_three_tenths_and_then_falls_to_almost_nothing(self) -> None:
        rates = learning_rates("one_cycle", 1.0, 0, 1000, 1000)
        assert rates.argmax() == 299
        assert rates.max() == 1.0
        assert 1 / 25 <= rates[0] < 1 / 24
        assert 1 / 250_000 <= rates[-1] < 1 / 50_000
        assert (np.diff(rates[:300]) > 0).all()
        assert (np.diff(rates[300:]) < 0).all()
        assert abs(rates[149] - (1 + 1 / 25) / 2) < 1e-3, "half way up"

    @pytest.mark.parametrize("name", ["constant", "cosine", "one_cycle"])
    @pytest.mark.parametrize("warmup_steps", [0, 6])
    def test_any_cut_into_calls_gives_the_same_rates(self, name: str, warmup_steps: int) -> None:
        whole = learning_rates(name, 0.1, 0, 40, 40, warmup_steps)
        cuts = [0, 1, 5, 6, 7, 12, 39, 40]
        parts = [
            learning_rates(name, 0.1, first, last - first, 40, warmup_steps)
            for first, last in itertools.pairwise(cuts)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole)

    @pytest.mark.parametrize("name", ["constant", "cosine", "one_cycle"])
    @pytest.mark.parametrize("warmup_steps", [0, 1, 3, 50])
    @pytest.mark.parametrize("total_steps", [1, 2, 3])
    def test_the_shortest_trainings_have_sound_rates(
        self, name: str, warmup_steps: int, total_steps: int
    ) -> None:
        rates = learning_rates(name, 0.1, 0, total_steps, total_steps, warmup_steps)
        assert len(rates) == total_steps
        assert ((rates > 0) & (rates <= np.float32(0.1))).all()
