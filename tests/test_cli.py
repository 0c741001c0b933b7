"""What the command lines share: every option of the one dataclass, and errors in one line."""

from __future__ import annotations

import dataclasses
import errno
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from experiments.bench import __main__ as bench
from experiments.grid import __main__ as grid
from experiments.report import __main__ as report
from lenet import cli, explain, export, refusals, registry, train, visualize
from lenet.config import TrainConfig
from lenet.live import __main__ as live
from lenet.option_checks import in_words


def parse(*words: str, default: TrainConfig | None = None) -> TrainConfig:
    """Reads a command line."""
    return cli.parse_config(words, "program", "What it does.", default or TrainConfig())


def test_no_arguments_mean_the_defaults() -> None:
    assert parse() == TrainConfig()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--activation sigmoid --optimizer sgd", {"activation": "sigmoid", "optimizer": "sgd"}),
        ("--learning-rate 1e-2", {"learning_rate": 0.01}),
        ("--fc2-activation tanh", {"fc2_activation": "tanh"}),
        ("--init truncated_normal --init-stddev 0.2", {"init": "truncated_normal", "init_stddev": 0.2}),
        ("--data-dir some/where --logdir logs", {"data_dir": Path("some/where"), "logdir": Path("logs")}),
        ("--epochs 3 --max-steps 7 --seed 9", {"epochs": 3, "max_steps": 7, "seed": 9}),
        ("--no-deterministic --quiet --profile", {"deterministic": False, "quiet": True, "profile": True}),
        ("--resume=runs/one --keep 4", {"resume": Path("runs/one"), "keep": 4}),
    ],
)  # fmt: skip
def test_arguments_become_options(words: str, expected: dict[str, Any]) -> None:
    assert parse(*words.split()) == TrainConfig(**expected)


def test_options_that_are_given_take_precedence_over_saved_ones() -> None:
    saved = TrainConfig(activation="tanh", epochs=3, seed=5)
    assert parse("--epochs", "9", default=saved) == dataclasses.replace(saved, epochs=9)


def test_a_saved_choice_can_be_taken_back() -> None:
    assert parse("--max-steps", "None", default=TrainConfig(max_steps=3)).max_steps is None


def test_help_names_every_option_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for option in dataclasses.fields(TrainConfig):
        assert f"--{option.name.replace('_', '-')}" in shown
        assert f"{option.metadata['group']} options" in shown


def test_help_shows_the_defaults_of_every_network_data_set_and_optimizer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, own in registry.MODEL_DEFAULTS.items():
        assert f"{name}: {registry.MODELS[name]}" in shown
        for value in own.values():
            assert in_words(value) in shown
    for name, spec in registry.OPTIMIZERS.items():
        assert f"{name} {spec['learning_rate']:g}" in shown
    for expected in (
        "(default: 0; 0.8 with conv4)",
        "(default: 0; 0.5 with conv3 and conv4)",
        "(default: glorot_uniform; source with conv3 and conv4)",
        "0.0001 with conv3 and adam; 1e-05 with conv4 and adam)",
        "(default: as many as make 1,500 updates, from 5 to 60: 5 with mnist, 60 with digits)",
        "(default: a 25th of the training images, from 8 to 100; 10 with conv4)",
        "(default: none)",
        "(default: off)",
        "Not available with mlp, because it has no pooling layers.",
    ):
        assert expected in shown
    assert "None" not in shown and "False" not in shown


def test_values_of_options_in_words() -> None:
    values = (None, (), True, False, ("shift", "flip"), 1e-5, 0.0, 3, Path("a/b"))
    expected = ["", "", "on", "off", "shift flip", "1e-05", "0", "3", "a/b"]
    assert list(map(in_words, values)) == expected


@pytest.mark.parametrize(
    ("program", "words", "line"),
    [
        (train, "--activation rellu", "Expected --activation to be one of relu, sigmoid, tanh, elu, selu, gelu, silu, softplus, leaky_relu. Received: rellu. Did you mean relu?"),
        (train, "--epochs=many", "Expected --epochs to be a whole number. Received: many. More about it: python -m lenet.train --help"),
        (train, "--epochs --quiet", "Expected --epochs to be a whole number. Received nothing after it."),
        (train, "--actvation relu", "There is no option --actvation. Did you mean --activation?"),
        (train, "--xyz", "There is no option --xyz. All options: python -m lenet.train --help"),
        (train, "--quiet sigmoid", "Expected only options that begin with --. Received: sigmoid"),
        (visualize, "run --width 9cm", "Expected --width to be a number. Received: 9cm. The unit is inches: --width 3.54"),
        (visualize, "", "RUN is missing. Expected: python -m lenet.visualize RUN"),
        (explain, "run", "PICTURE is missing. Expected: python -m lenet.explain RUN PICTURE"),
        (explain, "run a.png b.png", "Expected only RUN PICTURE and options that begin with --. Received: b.png"),
        (export, "run --format keras tf", "Expected each value of --format to be one of keras, savedmodel, tflite, onnx. Received: tf"),
        (live, "", "RUN is missing. Expected: python -m lenet.live RUN …"),
        (grid, "--seeds 0 one", "Expected each value of --seeds to be a whole number. Received: one. More about it: python -m experiments.grid --help"),
        (grid, "--workers all", "Expected --workers to be auto or a whole number. Received: all"),
        (report, "", "The following arguments are required: folder. All options: python -m experiments.report --help"),
        (bench, "--rounds many", "Argument --rounds: invalid int value: 'many'. All options: python -m experiments.bench --help"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_answered_in_one_line_with_the_remedy(
    program: ModuleType, words: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(words.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"Error: {line}\n"


def test_an_error_from_python_names_the_option_as_it_is_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.fail("Expected batch_size to be 1. Received: batch_size=0 in my/batch_size/data")
    expected = "Expected --batch-size to be 1. Received: --batch-size=0 in my/batch_size/data"
    assert capsys.readouterr().err == f"Error: {expected}\n"


def test_a_closed_pipe_ends_any_program_quietly(root: Path) -> None:
    program = "from lenet import cli; cli.run(lambda: print('answer') or 0)"
    reader, writer = os.pipe()
    os.close(reader)
    pipes: dict[str, Any] = {"stdout": writer, "stderr": subprocess.PIPE}
    ended = subprocess.run([sys.executable, "-c", program], cwd=root, check=False, **pipes)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("typed", "ours"),
    [
        ("--lr", "--learning-rate"),
        ("--patience=3", "--early-stopping"),
        ("--wd", "--weight-decay"),
        ("--log-images", "--inspect-every"),
    ],
)
def test_an_option_with_the_name_of_another_program_names_ours(
    typed: str, ours: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(typed, "0.1")
    assert caught.value.code == 2
    name = typed.partition("=")[0]
    assert capsys.readouterr().err == f"Error: There is no option {name}. Did you mean {ours}?\n"


def test_every_name_of_another_program_leads_to_an_option_that_exists() -> None:
    names = {option.name.replace("_", "-") for option in dataclasses.fields(TrainConfig)}
    assert set(refusals.OTHER_NAMES.values()) <= names
    assert names.isdisjoint(refusals.OTHER_NAMES)


def test_an_advised_command_keeps_the_log_folder_and_the_defaults_out(tmp_path: Path) -> None:
    config = TrainConfig(logdir=tmp_path, optimizer="sgd").resolved(797)
    words = shlex.split(cli.training_command(config, {"early_stopping": 5}, 797))
    parsed = parse(*words[3:])
    assert parsed.logdir == tmp_path and "--learning-rate" not in words
    assert (parsed.optimizer, parsed.early_stopping) == ("sgd", 5)
    assert parsed.resolved(797).validation_fraction == 0.15


def test_an_option_out_of_its_range_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        parse("--batch-size", "0")


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (ValueError("two\n  lines"), "Error: two lines\n"),
        (FileNotFoundError("Nothing there."), "Error: Nothing there.\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "Error: a/b: No space left on device. Free some space there.\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "Error: the disk: No space left on device. Free some space there.\n"),
    ],
    ids=["value", "missing", "named", "nameless"],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], problem: Exception, line: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.fail(problem)
    assert caught.value.code == 2
    assert capsys.readouterr().err == line


def test_an_unexpected_error_is_one_line_that_names_a_file_with_the_details(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> int:
        raise RuntimeError("two\nlines")

    for folder in (None, tmp_path):
        with pytest.raises(SystemExit) as caught:
            try:
                main()
            except RuntimeError as error:
                cli.crash(error, folder)
        assert caught.value.code == 1
        line = capsys.readouterr().err
        assert line.startswith("Unexpected error: RuntimeError: two lines. The details are in ")
        assert line.count("\n") == 1
        details = Path(line.split(" are in ")[1].strip().removesuffix("."))
        assert "in main" in details.read_text()
    assert details.parent == tmp_path
    with pytest.raises(SystemExit, match="1"):
        cli.run(main)


def test_an_error_of_a_compiled_function_is_told_without_its_node() -> None:
    message = (
        "Graph execution error:\n\nDetected at node Reshape defined at (most recent call last):\n"
        "  File x.py, line 3, in f\n\nInput to reshape has 3 values, but the shape has 4\n"
        "\t [[{{node Reshape}}]] [Op:__inference_f_5]"
    )
    assert cli.describe(ValueError(message)) == "Input to reshape has 3 values, but the shape has 4"


def test_too_little_memory_is_a_user_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.crash(MemoryError())
    assert caught.value.code == 2
    assert "smaller --batch-size" in capsys.readouterr().err


@pytest.mark.parametrize("installed", [True, False], ids=["on the path", "beside python"])
def test_the_tensorboard_command_can_be_typed_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    programs = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", programs if installed else "/usr/bin:/bin")
    command = cli.tensorboard_command(tmp_path / "my runs")
    words = shlex.split(command)
    assert words[1:3] == ["--logdir", str(tmp_path / "my runs")]
    assert "images=10000" in words[4]
    found = shutil.which(words[0])
    assert found is not None
    assert Path(found).resolve() == Path(programs, "tensorboard").resolve()


def test_another_init_drops_the_spread_that_only_truncated_normal_has() -> None:
    config = TrainConfig(init="truncated_normal", init_stddev=1.0).resolved(1)
    command = cli.training_command(config, {"init": "glorot_uniform"}, 1)
    assert "--init glorot_uniform" in command and "--init-stddev" not in command
    assert "--init-stddev 1" in cli.training_command(config, {"epochs": 2}, 1)
