"""A sample of every row of docs/reliability.md, and the page itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import sweep
from sweep import _page

ROWS = sweep.rows()


def run(name: str, folder: Path, sample: bool = False) -> sweep.Outcome:
    """Makes the trials of a row, where they are possible."""
    try:
        return sweep.run(ROWS[name], folder, sample)
    except sweep.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", ROWS)
def test_a_sample_of_the_trials_holds(name: str, tmp_path: Path) -> None:
    outcome = run(name, tmp_path, sample=True)
    assert outcome.failures == []
    assert outcome.trials > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ROWS)
def test_every_trial_holds(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path).failures == []


def test_the_page_is_made_from_the_stored_results(root: Path) -> None:
    page = (root / "docs" / "reliability.md").read_text()
    assert page == _page.page(ROWS), "write it again with python -m tests.sweep --page"
    assert "## Failures" not in page


def test_a_broken_promise_is_counted_and_named(tmp_path: Path) -> None:
    def broken() -> None:
        raise AssertionError("wrong weights")

    trials = [sweep.Trial("fine", lambda: None), sweep.Trial("a byte flipped", broken)]
    row = sweep.Row("made_up", "A fault", "A promise", 1, lambda folder: trials)
    outcome = sweep.run(row, tmp_path)
    assert outcome.trials == 2
    [failure] = outcome.failures
    assert failure.startswith("a byte flipped: AssertionError: wrong weights (test_sweep.py:")
    assert sweep.run(row, tmp_path, sample=True).trials == 1
