"""What a person sees while a run trains."""

from __future__ import annotations

import io

import pytest

from lenet.training.progress import LiveReporter, Reporter, make_reporter


def test_lines_go_to_the_output_and_warnings_to_the_errors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = Reporter()
    reporter.start(0, 10)
    reporter.update(5, 0.5, 0.9, 1000.0)
    reporter.line("Epoch 1/5")
    reporter.warn("Careful.")
    reporter.stop()
    assert capsys.readouterr() == ("Epoch 1/5\n", "Careful.\n")


def test_a_quiet_one_prints_warnings_alone(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = make_reporter(quiet=True)
    reporter.line("Epoch 1/5")
    reporter.warn("Careful.")
    assert capsys.readouterr() == ("", "Careful.\n")


def test_where_there_is_no_terminal_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = make_reporter(quiet=False)
    assert not isinstance(reporter, LiveReporter)
    reporter.line("[bold]100 %[/bold]")
    assert capsys.readouterr().out == "[bold]100 %[/bold]\n"


def test_lines_can_go_elsewhere() -> None:
    stream = io.StringIO()
    Reporter(stream=stream).line("here")
    assert stream.getvalue() == "here\n"
