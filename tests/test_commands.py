"""The command `lenet`: it lists the programs, starts them, and answers in a blink."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from lenet import __main__, cli


def test_alone_it_lists_every_program(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["-h"]):
        assert __main__.main(words) == 0
        said = capsys.readouterr().out
        for name, (_, purpose) in __main__.PROGRAMS.items():
            assert f"  {name} " in said and purpose in said


def test_a_wrong_name_is_one_line_with_the_one_that_was_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        __main__.main(["trian", "--epochs", "3"])
    assert caught.value.code == cli.USER_ERROR
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("Received: trian. Did you mean train?")


@pytest.mark.parametrize("name", __main__.PROGRAMS)
def test_every_program_is_there_and_gets_its_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        __main__.main([name, "--help"])
    assert caught.value.code == 0
    assert __main__.PROGRAMS[name][0].removesuffix(".__main__") in capsys.readouterr().out


def test_the_installed_command_is_this_one(root: Path) -> None:
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["lenet"].partition(":")
    assert getattr(sys.modules[module], function) is __main__.main


def test_the_list_needs_no_heavy_package(root: Path) -> None:
    program = (
        "import sys, lenet.__main__ as m; m.main([])\n"
        "print([n for n in ('numpy', 'tyro', 'matplotlib', 'tensorflow') if n in sys.modules])"
    )
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
    assert time.perf_counter() - started < 20  # A tenth of a second on an idle machine.
