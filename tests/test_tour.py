"""docs/tour.ipynb runs from top to bottom, and shows its figures."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

NUM_FIGURES = 6  # The first of them grew during training.


@pytest.fixture(scope="module")
def tour(root: Path) -> nbformat.NotebookNode:
    """The notebook as it is stored."""
    return nbformat.read(root / "docs" / "tour.ipynb", as_version=4)


@pytest.fixture(scope="module")
def executed(
    tour: nbformat.NotebookNode,
    root: Path,
    artifacts: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> nbformat.NotebookNode:
    """The notebook with the outputs of its cells, run in an empty folder."""
    folder = tmp_path_factory.mktemp("tour")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(root))
        ran = NotebookClient(
            nbformat.from_dict(tour), timeout=250, kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        ).execute()  # fmt: skip
    assert list(folder.iterdir()) == [], "it leaves no files"
    for index, figure in enumerate(figures(ran)):
        figure.save(artifacts / f"tour-{index}.png")
    return ran


def figures(notebook: nbformat.NotebookNode) -> list[Image.Image]:
    """Every figure that the notebook shows."""
    return [
        Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"]))).convert("RGB")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]


def test_it_is_stored_without_outputs(tour: nbformat.NotebookNode) -> None:
    nbformat.validate(tour)
    code = [cell for cell in tour.cells if cell.cell_type == "code"]
    assert len(code) >= 6
    assert {(len(cell.outputs), cell.execution_count) for cell in code} == {(0, None)}
    kinds = [cell.cell_type for cell in tour.cells]
    assert kinds.count("markdown") >= 5


def test_every_figure_is_shown_without_warnings(
    executed: nbformat.NotebookNode,
) -> None:
    shown = figures(executed)
    assert len(shown) == NUM_FIGURES
    for figure in shown:
        assert figure.width > 800
        assert np.asarray(figure).std() > 10
    outputs = [output for cell in executed.cells for output in cell.get("outputs", ())]
    assert [output for output in outputs if output.output_type == "execute_result"] == []
    assert [o.text for o in outputs if o.get("name") == "stderr"] == [], "no warnings"


def test_training_shows_a_bar_and_curves_and_how_to_see_everything(
    executed: nbformat.NotebookNode,
) -> None:
    [cell] = [cell for cell in executed.cells if "trainer.fit()" in cell.source]
    shown = [output.data for output in cell.outputs if output.output_type == "display_data"]
    assert ["text/html" in data for data in shown] == [True, False]
    assert "image/png" in shown[1]
    assert '<progress value="150" max="150"' in shown[0]["text/html"]
    assert "step 150 of 150" in shown[0]["text/html"]
    printed = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
    assert "Epoch 6/6" in printed
    run = re.search(r"%load_ext tensorboard\n +%tensorboard --logdir (\S+)\n", printed)
    assert run is not None and Path(run[1]).name.startswith("digits-lenet-relu-adam-seed0-")


def test_the_network_of_the_tour_learns(executed: nbformat.NotebookNode) -> None:
    outputs = [output for cell in executed.cells for output in cell.get("outputs", ())]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert "797 images to train on, 1000 to test on" in printed
    accuracy = re.search(r"Test accuracy: ([\d.]+) %", printed)
    assert accuracy and float(accuracy[1]) > 85
