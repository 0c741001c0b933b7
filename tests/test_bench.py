"""The benchmark: its arithmetic, its contestants, and what it writes. No test measures time."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.bench import __main__ as bench
from experiments.bench import chart, contestants, job, live, pages, results, rounds, target, train
from experiments.bench.contestants import CONTESTANTS, Entry
from experiments.bench.rounds import ContestantError, compare, in_turns, time_command
from experiments.bench.settings import Settings
from lenet.data.datasets import Dataset
from lenet.data.splits import Split

SaveNpz = Callable[[Path, Dataset], Path]


@pytest.fixture
def tiny_file(tmp_path: Path, tiny: Dataset, save_npz: SaveNpz) -> Path:
    """70 training images of 12x12 pixels, three classes."""
    return save_npz(tmp_path / "tiny.npz", tiny)


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    """The bundled digits as the four files of MNIST, each training image four times."""
    folder = tmp_path_factory.mktemp("digits")
    for name, split, times in (("train", digits.train, 4), ("t10k", digits.test, 1)):
        size, height, width, _ = split.images.shape
        header = struct.pack(">4i", 2051, times * size, height, width)
        images = header + times * split.images.tobytes()
        labels = struct.pack(">2i", 2049, times * size)
        labels += times * split.labels.astype(np.uint8).tobytes()
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return folder


def run_bench(root: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "experiments.bench", *map(str, arguments)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def answer(**values: Any) -> dict[str, Any]:
    """An answer of a contestant that trained 100 images in one second."""
    usual = {"train_seconds": 1.0, "epoch_seconds": 1.5, "loss": 0.5, "images": 100}
    return {**usual, "memory_mb": 10.0, "peak_mb": 20.0, "event_bytes": 1000, **values}


class TestRatios:
    def test_they_are_taken_round_by_round(self) -> None:
        ratio = compare("slow / fast", [2.0, 9.0, 8.0], [1.0, 3.0, 2.0], setting="batch 1")
        assert ratio["rounds"] == [2.0, 3.0, 4.0]
        assert (ratio["minimum"], ratio["median"], ratio["maximum"]) == (2.0, 3.0, 4.0)
        assert (ratio["title"], ratio["setting"]) == ("slow / fast", "batch 1")

    @pytest.mark.parametrize("below", [[], [1.0]])
    def test_both_contestants_need_the_same_rounds(self, below: list[float]) -> None:
        with pytest.raises(ValueError, match="the same number of rounds"):
            compare("slow / fast", [], below)

    def test_the_warm_up_does_not_count(self) -> None:
        result: dict[str, Any] = {"ratios": []}
        answers = {
            contestants.OURS: [answer(train_seconds=99.0), answer(train_seconds=2.0)],
            contestants.FIT: [answer(train_seconds=1.0), answer(train_seconds=5.0)],
        }
        train._add_ratios(result, answers, "batch 1")
        [ratio] = result["ratios"]
        assert (ratio["title"], ratio["rounds"]) == ("model.fit / lenet", [2.5])


class TestLossCurves:
    def test_contestants_that_learn_alike_pass(self) -> None:
        losses = {"a": [1.0, 0.1], "b": [1.1, 0.11], "c": [0.95, 0.1]}
        train.check_curves({n: [answer(loss=x) for x in own] for n, own in losses.items()})

    @pytest.mark.parametrize("wrong", [1.5, 0.5, float("nan")])
    def test_one_that_differs_is_named(self, wrong: float) -> None:
        losses = {"a": [1.0, 1.0], "b": [1.0, wrong], "c": [1.0, 1.0]}
        with pytest.raises(train.CurvesDiffer, match=r"^b has .* in epoch 2") as caught:
            train.check_curves({n: [answer(loss=x) for x in own] for n, own in losses.items()})
        assert "a has" not in str(caught.value)

    def test_the_program_then_exits_with_1(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def answers_of(commands: Any, turns: int) -> Any:
            losses = {name: 9.0 if name == contestants.FIT else 1.0 for name in commands}
            return {name: [answer(loss=x)] * (turns + 1) for name, x in losses.items()}, {}

        def fail(options: Any) -> Any:
            raise ContestantError("it ended early")

        monkeypatch.setattr(train, "in_turns", answers_of)
        monkeypatch.setitem(bench.PARTS, "job", (fail, "the job"))
        assert bench.main(["job", "train", "--quick", "--output", str(tmp_path)]) == 1
        job_failed, differs = capsys.readouterr().err.splitlines()
        assert job_failed == "job: it ended early"
        assert differs.startswith("train: batch 128, relu: model.fit has a mean training loss of 9")
        measured = json.loads((tmp_path / "bench.json").read_text())
        assert measured["refused"] == [job_failed, differs]
        assert measured["parts"]["train"]["ratios"] == []
        assert len(measured["parts"]["train"]["measurements"]) >= 4


class TestPrograms:
    def test_a_program_is_run_to_its_end(self) -> None:
        measured = time_command([sys.executable, "-c", "print('done')"])
        assert measured["output"] == "done\n"
        assert measured["seconds"] > 0 and measured["peak_mb"] > 1

    def test_one_that_fails_is_named_with_its_error(self) -> None:
        with pytest.raises(ContestantError, match=r"(?s)exit code 3: .*went wrong"):
            program = "import sys; print('went wrong', file=sys.stderr); sys.exit(3)"
            time_command([sys.executable, "-c", program])

    def test_a_contestant_that_ends_early_is_named(self) -> None:
        with pytest.raises(ContestantError, match="ended early"):
            in_turns({"short": [sys.executable, "-c", "pass"]}, 1)

    def test_one_that_cannot_run_here_is_left_out(self) -> None:
        program = (
            "from experiments.bench.gate import Gate, give_up\n"
            "Gate().wait()\n"
            "give_up('no compiler')"
        )
        answers, left_out = in_turns({"absent": [sys.executable, "-c", program]}, 1)
        assert (answers, left_out) == ({}, {"absent": "no compiler"})

    def test_one_whose_package_is_missing_is_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry = Entry("experiments.bench.ours", "bare", "in words", needs="no_such_package")
        monkeypatch.setitem(CONTESTANTS, "absent", entry)
        here, missing = contestants.available([contestants.OURS, "absent"])
        assert here == [contestants.OURS]
        assert "lenet[bench]" in missing["absent"]

    def test_lenet_answers_once_per_epoch(self, tiny_file: Path) -> None:
        settings = Settings(batch_size=32, turns=2, data_dir=str(tiny_file))
        command = contestants.command(contestants.LOGGED, settings)
        answers, left_out = in_turns({"lenet": command}, 1)
        assert left_out == {}
        first, second = answers["lenet"]
        assert set(first) == set(answer())
        assert first["images"] == second["images"] == 70
        assert 0 < second["loss"] < first["loss"]
        assert 0 < first["train_seconds"] <= first["epoch_seconds"]
        assert first["event_bytes"] > 0


class TestSettings:
    def test_they_travel_as_one_argument(self) -> None:
        settings = Settings(model="conv3", batch_size=7, data_dir="a folder", images=5)
        assert Settings.from_json(settings.to_json()) == settings

    @pytest.mark.parametrize(
        ("limits", "size"),
        [({}, 70), ({"at_most": 50}, 50), ({"at_most": 90}, 70), ({"images": 150}, 150)],
    )
    def test_images_are_cut_or_repeated(
        self, tiny_file: Path, tiny: Dataset, limits: dict[str, int], size: int
    ) -> None:
        dataset = Settings(data_dir=str(tiny_file), **limits).dataset()
        chosen = np.arange(size) % 70
        np.testing.assert_array_equal(dataset.train.images, tiny.train.images[chosen])
        np.testing.assert_array_equal(dataset.train.labels, tiny.train.labels[chosen])
        assert (dataset.sha256 == tiny.sha256) == (size == 70)


@pytest.mark.parametrize(
    ("model", "channels"), [("lenet", 1), ("conv3", 3), ("conv4", 3), ("mlp", 3)]
)
@pytest.mark.parametrize("activation", ["sigmoid", "leaky_relu"])
def test_all_contestants_have_the_same_network(
    tmp_path: Path,
    make_dataset: Callable[..., Dataset],
    save_npz: SaveNpz,
    model: str,
    channels: int,
    activation: str,
) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra bench")
    from experiments.bench import keras_fit, ours, torch_loop
    from lenet.networks.architectures import build_model

    file = save_npz(tmp_path / "data.npz", make_dataset(channels=channels, pixels=16))
    settings = Settings(model=model, activation=activation, data_dir=str(file))
    dataset = settings.dataset()
    ours.save_initial_weights(settings, tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz") as saved:
        network = torch_loop.build_network(saved).eval()
    images = dataset.test.images.astype(np.float32) / 255
    config = settings.config().resolved(len(dataset.train))
    lenet = build_model(config, dataset.image_shape, len(dataset.class_names))
    expected = lenet(images)[0].numpy()
    functional = keras_fit.functional_model(settings, dataset)(images).numpy()
    with torch.no_grad():
        logits = network(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(functional, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


def test_photos_lose_their_mean_only_where_lenet_subtracts_it(
    make_dataset: Callable[..., Dataset],
) -> None:
    import dataclasses

    from experiments.bench.settings import floats

    plain = make_dataset(channels=3)
    images = np.full((1, 2, 2, 3), 255, np.uint8)
    split = Split(images, np.zeros(1, np.int32))
    assert floats(plain, split).max() == 1
    photos = dataclasses.replace(plain, mean=(0.25, 0.5, 1.0))
    assert floats(photos, split)[0, 0, 0].tolist() == [0.75, 0.5, 0.0]


class TestCommandLine:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["speed"], "Expected PART to be one of start, train, "),
            (["job", "--model", "conv4"], "Expected no --model with the part job"),
            (["--batch-sizes", "0"], "to be at least 1"),
            (["--rounds", "0"], "to be at least 1"),
            (["--activations", "rellu"], "rellu"),
        ],
    )
    def test_mistakes_are_refused(
        self, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            bench.main(arguments)
        assert caught.value.code == 2
        assert message in capsys.readouterr().err

    def test_the_job_needs_the_files_of_mnist(
        self, tiny_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            bench.main(["job", "--data-dir", str(tiny_file), "--output", str(tmp_path / "out")])
        assert caught.value.code == 2
        assert "MNIST's four IDX files" in capsys.readouterr().err

    def test_a_damaged_file_is_named(
        self, tiny_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tiny_file.write_bytes(tiny_file.read_bytes()[:-1])
        with pytest.raises(SystemExit) as caught:
            bench.main(["start", "--data-dir", str(tiny_file), "--output", str(tmp_path / "out")])
        assert caught.value.code == 2
        assert str(tiny_file) in capsys.readouterr().err

    def test_quick_measures_less(self) -> None:
        parts, options, _ = bench._parse(["--quick"])
        assert tuple(parts) == bench.QUICK_PARTS
        assert (options.batch_sizes, options.activations) == ((128,), ("relu",))
        parts, options, _ = bench._parse([])
        assert tuple(parts) == tuple(bench.PARTS)
        assert options.batch_sizes == (32, 100, 128, 512)
        parts, options, _ = bench._parse(["--model", "conv4", "--batch-sizes", "10"])
        assert (parts, options.batch_sizes) == (["train"], (10,))


def test_the_chart_shows_every_part_it_gets() -> None:
    measured = results.new("command", True, {})
    ratios = [compare("slow / fast", [2.0, 3.0], [1.0, 1.0], setting="batch 1")]
    empty = Image.open(io.BytesIO(chart.draw(measured))).size[1]
    heights = [empty]
    for name in chart.TITLES:
        measured["parts"][name] = {"ratios": ratios}
        heights.append(Image.open(io.BytesIO(chart.draw(measured))).size[1])
    assert heights == sorted(set(heights))


def test_the_words_of_the_contestants_are_sentences_without_a_stop() -> None:
    words = [entry.words for entry in CONTESTANTS.values()]
    words += [*job.WORDS.values(), *target.WORDS.values()]
    assert [text for text in words if text.endswith(".") or len(text) < 20] == []
    assert set(train.TRAIN) | set(train.LOOKING) == set(CONTESTANTS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_contestants_come_to_the_same_loss(digits_folder: Path) -> None:
    here, _ = contestants.available(CONTESTANTS)
    settings = Settings(batch_size=32, turns=2, data_dir=str(digits_folder))
    commands = {name: contestants.command(name, settings) for name in here}
    answers, left_out = in_turns(commands, 1)
    assert set(answers) | set(left_out) == set(here)
    train.check_curves(answers)
    assert all(own[-1]["loss"] < 0.5 * own[0]["loss"] for own in answers.values())
    # These see the same images in the same order, so only rounding differs.
    same_order = {contestants.OURS, contestants.LOGGED, contestants.EAGER, contestants.COMPILED}
    losses = [answers[name][0]["loss"] for name in same_order & set(answers)]
    assert max(losses) < 1.02 * min(losses)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", list(bench.PARTS))
def test_a_quick_measurement_writes_what_it_measured(
    root: Path, tmp_path: Path, digits_folder: Path, part: str
) -> None:
    arguments = [part, "--quick", "--rounds", "1", "--data-dir", digits_folder]
    result = run_bench(root, *arguments, "--output", tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    measured = json.loads((tmp_path / "bench.json").read_text())
    assert set(measured) == set(results.new("", True, {}))
    assert measured["command"].endswith(f"--output {tmp_path}")
    assert measured["versions"]["tensorflow"] and len(measured["load_average"]) == 3
    [(name, values)] = measured["parts"].items()
    assert name == part
    assert {"measurements", "ratios", "notes"} <= set(values)
    for ratio in values["ratios"]:
        assert {"title", "setting", "median", "minimum", "maximum", "rounds"} == set(ratio)
        assert f"{ratio['median']:.2f}" in result.stdout
    if part == "growth":
        assert [len(values[key]) for key in ("epochs", "sizes", "batches")] == [4, 2, 2]
    with Image.open(tmp_path / "bench.png") as image:
        assert image.width == 1200


def test_without_chromium_the_part_live_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContestantError, match=r"programs chromium and chromedriver \(Debian"):
        live.answer_times(tmp_path / "live.html", tmp_path / "profile", 1)


def test_rounds_need_no_tensorflow() -> None:
    program = "import sys, experiments.bench.__main__; print('tensorflow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(rounds.__file__).parents[2])}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout == "False\n"


class TestDocumentation:
    def test_the_pages_show_the_saved_measurements(self, root: Path) -> None:
        for page in pages.PAGES:
            text = (root / page).read_text()
            assert pages.fill(text, root / pages.FOLDER) == text, f"run {pages.__name__}"

    def test_every_saved_measurement_is_on_the_page(self, root: Path) -> None:
        text = (root / "docs/speed.md").read_text()
        saved = list((root / pages.FOLDER).glob("*.json"))
        assert saved
        for path in saved:
            assert f"<!-- bench {path.stem} -->" in text

    def test_ratios_of_all_lenet_measurements_are_joined(self, tmp_path: Path) -> None:
        for number, model in enumerate(("lenet", "conv4", "lenet")):
            measured = results.new(f"bench {number}", False, {"model": model})
            ratio = compare("a / b", [2.0 + number], [1.0], setting=f"batch {number}, relu")
            measured["parts"]["train"] = {"measurements": [], "ratios": [ratio], "notes": []}
            (tmp_path / f"{number}.json").write_text(json.dumps(measured))
        filled = pages.fill("<!-- bench all -->\nold\n<!-- end -->", tmp_path)
        assert "old" not in filled
        assert "| a / b | 2.00 (2.00 to 2.00) | 4.00 (4.00 to 4.00) |" in filled
        assert "$ bench 1" in pages.fill(
            "<!-- bench 1 --><!-- end -->\n".replace("--><", "-->\n<"), tmp_path
        )
