"""`python -m lenet.explain`: what it prints, the one file it writes, and what it refuses."""

from __future__ import annotations

import dataclasses
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lenet import explain
from lenet.data.datasets import Dataset
from lenet.data.preparation import few_images
from lenet.recording import runs


@pytest.fixture(scope="module")
def run(learned: Any) -> Path:
    """A run that has learned the bundled digits."""
    return learned.history.run


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one drawn in dark ink on light paper."""
    canvas = Image.new("RGB", (320, 240), (240, 238, 225))
    ImageDraw.Draw(canvas).line([(150, 60), (165, 45), (165, 190)], (30, 30, 90), 14, "curve")
    path = tmp_path_factory.mktemp("pictures") / "my one.png"
    canvas.save(path)
    return path


@pytest.fixture
def twice(picture: Path, tmp_path: Path) -> Path:
    """The same drawing twice in one image."""
    with Image.open(picture) as image:
        both = Image.fromarray(np.hstack([np.asarray(image)] * 2))
    both.save(tmp_path / "11.png")
    return tmp_path / "11.png"


def test_two_drawings_in_one_image_are_said_before_the_answer(
    run: Path, twice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain.main([str(run), str(twice), "--output", str(tmp_path / "out.png")]) == 0
    note = capsys.readouterr().err.splitlines()[0]
    assert note.startswith("Note: 11.png seems to contain 2 drawings.")


def test_a_network_that_was_trained_on_few_images_says_so(
    run: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain.main([str(run), str(picture), "--output", str(tmp_path / "out.png")]) == 0
    [note] = capsys.readouterr().err.splitlines()
    assert note.startswith("Note: There were only 797 training images (28×28, enlarged from 8×8)")
    assert "e.g. the 60,000 of MNIST (--dataset mnist)" in note
    photos = {"train": 46, "image_shape": [64, 64, 3], "class_names": ["cat", "dog"]}
    assert "only 46 training images (64×64)" in few_images(photos)
    assert "MNIST" not in few_images(photos)
    assert few_images({**photos, "train": 60_000}) == ""


@pytest.fixture
def files(run: Path) -> Callable[[], set[Path]]:
    """The files of the run's folder, as they are now."""
    return lambda: set(run.rglob("*"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line printed about a mistake."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        explain.main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    return error


def test_it_says_the_answer_and_draws_one_figure(
    run: Path, picture: Path, capsys: pytest.CaptureFixture[str], files: Callable[[], set[Path]]
) -> None:
    before = files()
    assert explain.main([str(run), str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    target = run / runs.FIGURES / "explain-my one.png"
    assert lines[-1] == f"Figure  {target}"
    assert files() - before - {target.parent} == {target}
    with Image.open(target) as image:
        assert image.size[0] == 1200
        assert 900 < image.size[1] < 1500
        assert np.asarray(image.convert("L")).std() > 20
    rows = [re.fullmatch(r"([> ]) (\d) +([\d.]+) %( +█+)?", line) for line in lines[2:-1]]
    assert [row[2] for row in rows if row] == list("0123456789")
    assert sum(float(row[3]) for row in rows if row) == pytest.approx(100, abs=1)
    best = next(row for row in rows if row and row[1] == ">")
    assert lines[1].startswith(f"my one.png: {best[2]} ({best[3]} %)")
    assert best[2] == "1"


def test_overlays_are_further_panels_of_it(run: Path, picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.png"
    arguments = ["--output", str(target), "--occlusion", "--gradient"]
    assert explain.main([str(run), str(picture), *arguments]) == 0
    with Image.open(target) as image:
        assert image.size[1] > 1500
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("arguments", "name", "start"),
    [
        (["--format", "svg"], "explain-my one.svg", b"<?xml"),
        (["--output", "a.PDF", "--format", "pdf", "--dpi", "50"], "a.PDF", b"%PDF"),
    ],
)
def test_the_format_can_be_chosen(
    run: Path,
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    name: str,
    start: bytes,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert explain.main([str(run), str(picture), *arguments]) == 0
    target = Path(name) if "--output" in arguments else run / runs.FIGURES / name
    assert target.read_bytes().startswith(start)
    target.unlink()


def test_colour_and_other_sizes_work_too(
    fit: Callable[..., Any],
    make_dataset: Callable[..., Dataset],
    picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = make_dataset(pixels=20, channels=3, classes=3, name="pets")
    names = ("a cat", "$dog_$", "7" * 30)
    trainer = fit(dataclasses.replace(dataset, class_names=names), epochs=1)
    target = tmp_path / "a.png"
    arguments = [str(trainer.history.run), str(picture), "--output", str(target), "--gradient"]
    assert explain.main([*arguments, "--prepare", "photo"]) == 0
    assert target.stat().st_size > 10_000
    out = capsys.readouterr().out
    assert all(name in out for name in names)


class TestMistakes:
    """One line each, exit code 2, and no file is left behind."""

    @pytest.fixture(autouse=True)
    def nothing_is_written(self, run: Path, files: Callable[[], set[Path]]) -> Any:
        before = files()
        yield
        assert files() == before

    def test_no_run(
        self, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "There is no run in" in refused(capsys, tmp_path / "none", picture)
        assert "There is no run in" in refused(capsys, tmp_path, picture)

    def test_a_run_without_a_checkpoint(
        self, run: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / runs.CONFIG).write_bytes((run / runs.CONFIG).read_bytes())
        assert "has no checkpoint yet" in refused(capsys, tmp_path, picture)
        assert [path.name for path in tmp_path.iterdir()] == [runs.CONFIG]

    def test_no_picture(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "No such file" in refused(capsys, run, tmp_path / "none.png")
        (tmp_path / "text.png").write_text("hello")
        error = refused(capsys, run, tmp_path / "text.png")
        assert "text.png: is not a PNG, JPEG, WebP or BMP image" in error
        (tmp_path / "empty.png").touch()
        assert "empty.png: is empty" in refused(capsys, run, tmp_path / "empty.png")

    @pytest.mark.parametrize("color", ["black", "white"])
    def test_nothing_drawn(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], color: str
    ) -> None:
        Image.new("RGB", (300, 200), color).save(tmp_path / "blank.png")
        error = refused(capsys, run, tmp_path / "blank.png")
        assert "blank.png: nothing drawn stands out" in error

    def test_a_huge_picture(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # A BMP's header is 54 bytes: 20,000 x 20,000 pixels are promised, none is there.
        header = bytearray(54)
        header[:2], header[10], header[14], header[26], header[28] = b"BM", 54, 40, 1, 24
        header[18:22] = header[22:26] = (20_000).to_bytes(4, "little")
        (tmp_path / "huge.bmp").write_bytes(header)
        error = refused(capsys, run, tmp_path / "huge.bmp")
        assert "more than 89,478,485 pixels" in error
        assert "1,000 pixels wide" in error

    def test_an_output_that_cannot_be_written(
        self, run: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").touch()
        error = refused(capsys, run, picture, "--output", tmp_path / "file" / "a.png")
        assert "Cannot write the figure to" in error
        assert "--output" in error

    def test_a_figures_folder_that_cannot_be_made(
        self, run: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / runs.CONFIG).write_bytes((run / runs.CONFIG).read_bytes())
        (tmp_path / runs.FIGURES).touch()
        assert "a different file with --output" in refused(capsys, tmp_path, picture)

    def test_a_disk_that_is_full_at_the_end(
        self, run: Path, picture: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))
        try:
            error = refused(capsys, run, picture, "--output", tmp_path / "a.png")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "a.png: File too large" in error
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--output", "a.gif"], "Expected output to be a file ending in .png, .svg, .pdf"),
            (["--output", "a.png", "--format", "pdf"], "ending in .pdf. Received: output='a.png'"),
            (["--output", "."], "Expected output to be a file ending in"),
            (["--dpi", "5"], "Expected dpi to be from 10 to 1,000. Received: dpi=5"),
        ],
    )
    def test_options_that_do_not_fit(
        self,
        run: Path,
        picture: Path,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        message: str,
    ) -> None:
        assert message in refused(capsys, run, picture, *arguments)

    def test_the_picture_is_not_written_over(
        self, run: Path, picture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = picture.read_bytes()
        assert "your image itself" in refused(capsys, run, picture, "--output", picture)
        assert picture.read_bytes() == before


def test_mistakes_and_help_need_no_tensorflow(run: Path, root: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "black.png")
    program = (
        "import sys\nfrom lenet import explain\n"
        "for arguments in (['--help'], sys.argv[1:]):\n"
        "    try:\n        explain.main(arguments)\n"
        "    except SystemExit as end:\n        print('ended', end.code)\n"
        "print([name for name in ('tensorflow', 'matplotlib') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, run, tmp_path / "black.png"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = result.stdout.splitlines()
    assert "RUN PICTURE" in lines[0]
    assert lines[-3:] == ["ended 0", "ended 2", "[]"]
    assert result.stderr.count("\n") == 1
