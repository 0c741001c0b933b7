"""`python -m lenet.visualize` as a user sees it: files, options, mistakes."""

from __future__ import annotations

import base64
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from lenet import visualize
from lenet.analysis.trained import load_run, predict

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from lenet.data.datasets import Dataset
    from lenet.training.trainer import Trainer

CONVOLUTIONS, LAYERS = ("conv1", "conv2"), ("conv1", "conv2", "fc1", "fc2", "fc3")
PICTURES = {
    *(f"fc2_map_{label}.png" for label in range(10)),
    *(
        "fc2_maps.png",
        "fc2_sorted.png",
        "fc2_means.png",
        "feature_maps.png",
        "fc_matrices.png",
        "inputs.png",
    ),
    *("kernels_conv1.png", "kernels_conv2.png", "kernels_conv2_by_channel.png"),
    *("learning_curves.png", "confusion_matrix.png", "mistakes.png", "diagnostics.png"),
    *(f"embedding_{layer}_{method}.png" for layer in LAYERS for method in ("pca", "tsne")),
    *(f"top_images_{layer}.png" for layer in LAYERS[:-1]),
    *(f"maximization_{what}.png" for what in (*LAYERS, "evolution")),
    *(f"attribution_{position}.png" for position in range(4)),
    "embeddings.png",
}
ANIMATIONS = {
    f"{kind}_evolution_{layer}.gif" for kind in ("kernel", "feature_map") for layer in CONVOLUTIONS
}
DIAGRAM = {"architecture.png"} if shutil.which("dot") else set()
NUM_INSPECTIONS = 6

KERNELS = ["kernels_conv1", "kernels_conv2", "kernels_conv2_by_channel"]

Draw = Callable[..., Path]


@pytest.fixture(scope="module")
def run(learned: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the bundled digits without any figures yet."""
    folder = tmp_path_factory.mktemp("runs") / learned.history.run.name
    undrawn = shutil.ignore_patterns("figures")
    return Path(shutil.copytree(learned.history.run, folder, ignore=undrawn))


@pytest.fixture(scope="module")
def figures(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything of the run, drawn once."""
    folder = tmp_path_factory.mktemp("drawn") / "new" / "figures"
    assert visualize.main([str(run), "--samples", "60", "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def draw(run: Path, tmp_path: Path) -> Draw:
    """Draws some of the run's figures into a folder of the test's own."""

    def main(*arguments: str) -> Path:
        assert visualize.main([str(run), "--output", str(tmp_path / "drawn"), *arguments]) == 0
        return tmp_path / "drawn"

    return main


def names(folder: Path) -> set[str]:
    """All files in a folder, hidden ones too."""
    return {path.name for path in folder.iterdir()}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


class TestEverything:
    """All figures of a run, with one command."""

    def test_every_figure_is_there_and_nothing_else(self, figures: Path) -> None:
        files = PICTURES | ANIMATIONS | DIAGRAM | {"fc2_maps.npz", "index.html"}
        assert names(figures) == files

    @pytest.mark.parametrize("name", sorted(PICTURES))
    def test_each_is_an_image_with_something_on_it(self, figures: Path, name: str) -> None:
        shown = pixels(figures / name)
        assert 800 <= shown.shape[1] <= 1200
        edges = (shown[0], shown[-1], shown[:, 0], shown[:, -1])
        assert all((edge == 255).all() for edge in edges), "nothing is cut off"
        assert shown.std() > 10

    def test_the_arrays_are_exactly_what_the_network_makes_of_those_samples(
        self, figures: Path, run: Path, digits: Dataset
    ) -> None:
        network = load_run(run).model
        _, features = predict(network, digits.test.images)
        with np.load(figures / "fc2_maps.npz", allow_pickle=False) as maps:
            assert sorted(maps) == [f"map_{label}" for label in range(10)]
            for label in range(10):
                saved = maps[f"map_{label}"]
                assert (saved.dtype, saved.shape) == (np.float32, (100, 84))
                chosen = np.flatnonzero(digits.test.labels == label)[:100]
                np.testing.assert_array_equal(saved, features[chosen])

    @pytest.mark.parametrize("name", sorted(ANIMATIONS))
    def test_animations_have_a_frame_for_each_inspection(self, figures: Path, name: str) -> None:
        with Image.open(figures / name) as moving:
            assert moving.format == "GIF"
            frames = set()
            for index in range(moving.n_frames):
                moving.seek(index)
                frames.add(moving.convert("RGB").tobytes())
        assert len(frames) == NUM_INSPECTIONS

    def test_the_page_contains_every_figure_and_the_facts(self, figures: Path, run: Path) -> None:
        page = (figures / "index.html").read_text()
        alternatives = re.findall(r'alt="([^"]+)"', page)
        files = PICTURES | ANIMATIONS | DIAGRAM
        assert sorted(alternatives) == sorted(Path(name).stem for name in files)
        assert str(run) in page
        accuracy = re.search(r"test accuracy</th><td>([\d.]+) %", page)
        assert accuracy and float(accuracy[1]) > 85
        assert not re.search(r"(src|href)=\"(?!data:|#)", page)

    @pytest.mark.browser
    def test_the_page_opens_in_a_browser_with_all_its_figures(
        self, figures: Path, browser: Chrome, artifacts: Path
    ) -> None:
        browser.get_log("browser")
        browser.get((figures / "index.html").as_uri())
        script = "return [...document.images].map(image => image.naturalWidth)"
        widths = browser.execute_script(script)
        assert len(widths) == len(PICTURES | ANIMATIONS | DIAGRAM)
        assert min(widths) > 300
        assert browser.get_log("browser") == []
        browser.save_screenshot(str(artifacts / "figures-top.png"))
        height = browser.execute_script("return document.documentElement.scrollHeight")
        box = {"x": 0, "y": 0, "width": 1400, "height": height, "scale": 0.5}
        options = {"captureBeyondViewport": True, "clip": box}
        content = browser.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
        (artifacts / "figures-whole.png").write_bytes(base64.b64decode(content))


class TestOptions:
    """What a user can choose."""

    def test_only_some_are_drawn(self, draw: Draw) -> None:
        folder = draw("--only", "kernels", "mistakes")
        kernels = {"kernels_conv1.png", "kernels_conv2.png", "kernels_conv2_by_channel.png"}
        assert names(folder) == kernels | {"mistakes.png", "index.html"}
        assert len(re.findall("<section", (folder / "index.html").read_text())) == 2

    def test_the_page_keeps_what_was_drawn_before(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "drawn"

        def drawn(*only: str) -> list[str]:
            arguments = [str(run), "--output", str(folder), "--only", *only]
            assert visualize.main(arguments) == 0
            return re.findall(r'<img src="[^"]*" alt="(\w+)">', (folder / "index.html").read_text())

        assert drawn("fc2_map:3", "kernels") == [*KERNELS, "fc2_map_3"]
        said = " ".join(capsys.readouterr().out.split())
        assert f"4 files in {folder}: kernels_conv1.png, kernels_conv2.png, " in said
        (folder / "kernels_conv1.png").unlink()  # Then the page does not show it any more.
        assert drawn("fc2_map:1", "fc2_map:3") == [*KERNELS[1:], "fc2_map_3", "fc2_map_1"]
        page = (folder / "index.html").read_text()
        assert page.count("<section") == 2 and "These figures show" not in page
        elsewhere = shutil.copytree(run, tmp_path / "another", dirs_exist_ok=True)
        arguments = [str(elsewhere), "--output", str(folder), "--only", "fc2_map:0"]
        assert visualize.main(arguments) == 0
        assert (folder / "index.html").read_text().count("<img") == 1

    def test_figures_go_into_the_runs_folder_unless_told_otherwise(
        self, run: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert visualize.main([str(run), "--only", "learning_curves"]) == 0
        folder = run / "figures"
        assert names(folder) == {"learning_curves.png", "index.html"}
        assert f"{folder / 'index.html'}  (" in capsys.readouterr().out
        shutil.rmtree(folder)

    @pytest.mark.parametrize(("format", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF-")])
    def test_other_formats_for_print(self, draw: Draw, format: str, start: bytes) -> None:
        folder = draw("--only", "learning_curves", "--format", format)
        assert names(folder) == {f"learning_curves.{format}", "index.html"}
        assert (folder / f"learning_curves.{format}").read_bytes().startswith(start)
        assert "data:image/png;base64" in (folder / "index.html").read_text()

    @pytest.mark.parametrize(("dpi", "width"), [(50, 600), (200, 2400)])
    def test_dots_per_inch_decide_the_size(self, draw: Draw, dpi: int, width: int) -> None:
        folder = draw("--only", "learning_curves", "--dpi", str(dpi))
        assert pixels(folder / "learning_curves.png").shape[1] == width

    def test_the_colour_map_is_for_the_lower_row(self, draw: Draw, figures: Path) -> None:
        jet = pixels(draw("--only", "fc2_maps", "--colormap", "jet") / "fc2_maps.png")
        usual = pixels(figures / "fc2_maps.png")
        half = len(jet) // 2
        np.testing.assert_array_equal(jet[40 : half - 20], usual[40 : half - 20])

        def pure_blue(pixels: np.ndarray) -> int:
            red, green, blue = np.moveaxis(pixels.astype(int), -1, 0)
            return int(np.count_nonzero((blue > 120) & (red + green < 10)))

        assert pure_blue(jet[half:]) > 1_000
        assert pure_blue(usual[half:]) == 0

    def test_without_dot_there_is_a_hint_and_the_rest(
        self,
        draw: Draw,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "bin").mkdir()
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        folder = draw("--only", "architecture", "learning_curves")
        assert names(folder) == {"learning_curves.png", "index.html"}
        (note,) = capsys.readouterr().err.splitlines()
        assert note.startswith("Note: no diagram of the network: the program `dot` is missing")
        assert "apt install graphviz" in note
        assert 'id="architecture"' not in (folder / "index.html").read_text()

    def test_as_a_program_it_prints_the_page_and_disturbs_nobody(
        self, run: Path, root: Path, tmp_path: Path
    ) -> None:
        arguments = [str(run), "--only", "learning_curves", "--output", str(tmp_path / "drawn")]
        result = subprocess.run(
            [sys.executable, "-m", "lenet.visualize", *arguments],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (result.returncode, result.stderr) == (0, "")
        last = result.stdout.splitlines()[-1]
        assert re.fullmatch(rf"{re.escape(str(tmp_path))}/drawn/index\.html  \(\d+ s\)", last)
        assert names(tmp_path / "drawn") == {"learning_curves.png", "index.html"}


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may damage."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


class TestMistakes:
    """A user's mistake is one line on stderr and exit code 2, and nothing is left half-written."""

    @pytest.fixture
    def refused(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
        """Checks that the program refuses its arguments in one line that says what is expected."""

        def check(*arguments: str | Path, because: str) -> None:
            with pytest.raises(SystemExit) as ended:
                visualize.main([str(argument) for argument in arguments])
            assert ended.value.code == 2
            assert re.fullmatch(f"Error: .*{because}.*\n", capsys.readouterr().err)

        return check

    def test_a_folder_without_a_run(self, tmp_path: Path, refused: Callable[..., None]) -> None:
        refused(tmp_path, because="There is no run in")
        refused(tmp_path / "nowhere", because="There is no run in")
        assert names(tmp_path) == set()

    def test_a_run_without_a_checkpoint(self, copy: Path, refused: Callable[..., None]) -> None:
        shutil.rmtree(copy / "checkpoints")
        refused(copy, because="has no checkpoint yet")
        assert not (copy / "figures").exists()

    def test_a_run_whose_checkpoints_are_all_damaged(
        self, copy: Path, refused: Callable[..., None]
    ) -> None:
        for path in copy.glob("checkpoints/*/model.npz"):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 255
            path.write_bytes(content)
        refused(copy, because=r"All checkpoints in .* are damaged \(.*is damaged")
        assert not (copy / "figures").exists()

    def test_one_damaged_checkpoint_is_skipped_with_a_note(
        self, copy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        newest = max((copy / "checkpoints").iterdir())
        (newest / "model.npz").write_bytes(b"")
        assert visualize.main([str(copy), "--only", "kernels"]) == 0
        output = capsys.readouterr()
        assert f"Note: skipped a damaged checkpoint: {newest.name}" in output.err
        page = (copy / "figures" / "index.html").read_text()
        assert "125 steps" in page, "it says which step is shown: that of the one before"

    def test_a_damaged_config(self, copy: Path, refused: Callable[..., None]) -> None:
        (copy / "config.json").write_text("{")
        refused(copy, because="config.json is damaged")

    def test_a_figure_that_does_not_exist(
        self, run: Path, tmp_path: Path, refused: Callable[..., None]
    ) -> None:
        arguments = [run, "--only", "kernels", "kernel", "--output", tmp_path / "drawn"]
        refused(*arguments, because="name some of architecture, .*, embeddings. Received: kernel")
        assert names(tmp_path) == set()

    def test_mistakes_are_reported_before_tensorflow_is_loaded(self, run: Path, root: Path) -> None:
        program = (
            "import sys\nfrom lenet import visualize\n"
            "for option in (['--only', 'kernel'], ['--colormap', 'jett']):\n"
            "    try:\n        visualize.main([sys.argv[1], *option])\n"
            "    except SystemExit as end:\n        print('ended', end.code)\n"
            "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
        )
        result = subprocess.run(
            [sys.executable, "-c", program, run],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.stdout.splitlines() == ["ended 2", "ended 2", "[]"]
        assert result.stderr.count("\n") == 2

    def test_a_group_that_the_network_cannot_have(
        self, fit: Callable[..., Trainer], tiny: Dataset, tmp_path: Path,
        save_npz: Callable[[Path, Dataset], Path], capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        file = save_npz(tmp_path / "tiny.npz", tiny)
        run = fit(tiny, data_dir=file, model="mlp").history.run
        assert visualize.main([str(run), "--only", "kernels", "weight_images"]) == 0
        assert names(run / "figures") == {"weight_images_fc1.png", "index.html"}
        error = capsys.readouterr().err
        assert error == "Note: skipped kernels: mlp has no layer of this kind\n"

    def test_a_colour_map_that_does_not_exist(
        self, run: Path, tmp_path: Path, refused: Callable[..., None]
    ) -> None:
        arguments = [run, "--colormap", "jett", "--output", tmp_path / "drawn"]
        refused(*arguments, because="colormap to be a colour map of matplotlib.*Received: .*'jett'")
        assert names(tmp_path) == set()

    @pytest.mark.parametrize("arguments", ["--samples 49", "--dpi 9", "--dpi -1"])
    def test_numbers_out_of_range(
        self, run: Path, arguments: str, refused: Callable[..., None]
    ) -> None:
        refused(run, *arguments.split(), because="to be at least")

    @pytest.mark.parametrize("arguments", ["--format gif", "--dpi many", "--onyl kernels"])
    def test_a_misspelled_option_is_explained(
        self, run: Path, arguments: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            visualize.main([str(run), *arguments.split()])
        assert ended.value.code == 2
        explained = capsys.readouterr().err
        assert arguments.split()[-1] in explained or arguments.split()[0] in explained
        assert "Traceback" not in explained

    @pytest.mark.parametrize("path", ["figures", "figures/deeper"])
    def test_a_folder_that_cannot_be_written(
        self, run: Path, tmp_path: Path, path: str, refused: Callable[..., None]
    ) -> None:
        (tmp_path / "figures").write_text("a file in the way")
        because = "Cannot write figures to .*: choose a different folder with --output"
        refused(run, "--output", tmp_path / path, because=because)
        assert (tmp_path / "figures").read_text() == "a file in the way"

    def test_a_disk_that_is_full_leaves_only_complete_files(
        self, run: Path, tmp_path: Path, refused: Callable[..., None]
    ) -> None:
        arguments = [run, "--only", "kernels", "fc2_maps", "--output", tmp_path / "drawn"]
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            refused(*arguments, because="fc2_maps.png: File too large")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        left = names(tmp_path / "drawn")
        assert left == {"kernels_conv1.png", "kernels_conv2.png", "kernels_conv2_by_channel.png"}
        for name in left:
            assert pixels(tmp_path / "drawn" / name).std() > 10

    def test_images_that_are_no_longer_there(
        self, fit: Callable[..., Trainer], tiny: Dataset, tmp_path: Path, refused: Callable[..., None],
        save_npz: Callable[[Path, Dataset], Path], make_dataset: Callable[..., Dataset],
    ) -> None:  # fmt: skip
        file = save_npz(tmp_path / "tiny.npz", tiny)
        run = fit(tiny, data_dir=file).history.run
        moved = file.rename(tmp_path / "moved.npz")
        refused(run, "--only", "inputs", because="tiny.npz")
        others = save_npz(tmp_path / "others.npz", make_dataset(train=40))
        refused(run, "--data-dir", others, because="was trained on different images")
        assert not (run / "figures").exists()
        assert visualize.main([str(run), "--only", "inputs", "--data-dir", str(moved)]) == 0
        assert names(run / "figures") == {"inputs.png", "index.html"}
