"""TensorBoard as a user sees it: its pages in Chromium, while a run trains and afterwards."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from lenet import cli
from lenet.diagnostics import DIAGNOSTICS
from lenet.recording.encoding import DESCRIPTIONS

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")
HISTOGRAMS = ("activation", "bias", "bias_gradient", "kernel", "kernel_gradient")
CHARTS = ("loss", "accuracy", "learning_rate", *LAYERS)  # In Custom Scalars.
CONVOLUTION_PICTURES = ("feature_maps", "kernels", "kernels_by_channel", "pre_activations")
PATIENCE = 60  # Seconds until a page must show what it is to show.

# All elements that fit a selector, in the page, its shadow trees and its frames; and the words
# that a reader sees of each.
FIND = """
const found = [];
function search(tree, selector) {
  found.push(...tree.querySelectorAll(selector));
  for (const element of tree.querySelectorAll("*")) {
    if (element.shadowRoot) search(element.shadowRoot, selector);
    if (element.contentDocument) search(element.contentDocument, selector);
  }
}
function words(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  if (["STYLE", "SCRIPT", "title"].includes(node.tagName)) return "";
  const parts = node.tagName === "SLOT" ? node.assignedNodes() : (node.shadowRoot ?? node).childNodes;
  return [...parts].map(words).join(" ").replace(/\\s+/g, " ").trim();
}
search(document, arguments[0]);
"""
WORDS = FIND + "return found.map(words);"
NAMES = FIND + "return found.map(node => node.dataset.name);"
CHOICES = FIND + "return found.map(menu => `${menu.label}: ${menu.value}`);"
LINES = FIND + "return found.map(path => path.getAttribute('d') ?? '');"
# Pictures that have arrived, with the size they really have.
PICTURES = (
    FIND
    + """
return found.filter(image => image.complete && image.naturalWidth > 0)
            .map(image => [image.naturalWidth, image.naturalHeight]);
"""
)
BOXES = (
    FIND
    + """
return found.map(element => {
  let {x, y, width, height} = element.getBoundingClientRect();
  for (let view = element.ownerDocument.defaultView; view !== window; view = view.parent) {
    const frame = view.frameElement.getBoundingClientRect();
    x += frame.x; y += frame.y;
  }
  return [x, y, width, height].map(Math.round);
});
"""
)


class Pages:
    """TensorBoard's pages in a browser."""

    def __init__(self, browser: Chrome, address: str, artifacts: Path, when: str) -> None:
        self.browser, self.address = browser, address
        self.artifacts, self.when = artifacts, when

    def open(self, page: str) -> None:
        self.browser.get("about:blank")  # Else only the part behind # changes: no new page.
        self.browser.get_log("browser")
        self.browser.get(f"{self.address}#{page}")

    def find(self, script: str, selector: str) -> list[Any]:
        return self.browser.execute_script(script, selector)

    def words(self, selector: str, expected: set[str]) -> list[str]:
        """The words of each element, once each of those expected is somewhere among them."""

        def shown(found: list[str]) -> bool:
            return all(any(word in text.split() for text in found) for word in expected)

        return self.wait(WORDS, selector, shown, ", ".join(sorted(expected)))

    def part(self, name: str, box: list[int]) -> np.ndarray:
        """The pixels of a box on the page, int [h, w, 3]."""
        x, y, width, height = box
        return self.shoot(name)[y : y + height, x : x + width].astype(int)

    def wait(
        self, script: str, selector: str, shows: Callable[[list[Any]], bool], what: str
    ) -> list[Any]:
        """What a script finds, once it is what the page is to show."""
        deadline, found = time.monotonic() + PATIENCE, []
        while time.monotonic() < deadline:
            found = self.find(script, selector)
            if shows(found):
                return found
            time.sleep(0.25)
        self.shoot(f"missing-{selector}")
        pytest.fail(f"After {PATIENCE} s the page does not show {what}: {str(found)[:1000]}")

    def shoot(self, name: str) -> np.ndarray:
        """A screenshot, kept among the artifacts; uint8 [h, w, 3]."""
        content = self.browser.get_screenshot_as_png()
        name = re.sub(r"[^\w-]+", "-", f"tensorboard-{self.when}-{name}")
        (self.artifacts / f"{name}.png").write_bytes(content)
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("RGB"))

    def close(self) -> None:
        """Holds that nothing went wrong on the page that a user would find in its console."""
        log = self.browser.get_log("browser")
        assert [entry["message"] for entry in log if entry["level"] == "SEVERE"] == []


def ask(address: str) -> Any:
    """One answer of TensorBoard's."""
    with urllib.request.urlopen(address, timeout=30) as response:
        return json.loads(response.read())


def status(run: Path) -> dict[str, Any]:
    """The run's status.json; {} where there is none yet."""
    return json.loads((run / "status.json").read_text()) if (run / "status.json").exists() else {}


def until(true: Callable[[], bool], what: str, seconds: float = 240) -> None:
    """Waits for something outside the browser."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.25)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has not begun yet."""
    return tmp_path_factory.mktemp("logs") / "live"


@pytest.fixture(scope="module")
def training(run: Path, root: Path, browser: Chrome) -> Iterator[subprocess.Popen[bytes]]:
    """A run with no end in sight, on the whole data set at every step, so that it is slow."""
    assert browser, "without a browser nothing is started"
    words = "--dataset digits --batch-size 797 --epochs 1000000 --inspect-every 10 --threads 1"
    command = [sys.executable, "-m", "lenet.train", *words.split()]
    command += ["--logdir", str(run.parent), "--run-name", run.name]
    output = (run.parent / "output").open("w")  # A pipe that nobody reads would fill up.
    with output, subprocess.Popen(command, cwd=root, stdout=output) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def address(run: Path, root: Path, training: subprocess.Popen[bytes]) -> Iterator[str]:
    """Where a TensorBoard shows the run, started with the very command that a run prints.

    Meanwhile the training starts too.
    """
    assert training.poll() is None, "training has ended"
    command = shlex.split(cli.tensorboard_command(run))
    command += ["--host", "127.0.0.1", "--port", "0", "--reload_interval", "1"]
    options: dict[str, Any] = {"cwd": root, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, **options) as server:
        assert server.stdout is not None
        lines = []
        for line in server.stdout:
            lines.append(line)
            if match := re.search(r"http://\S+:\d+/", line):
                break
        else:
            pytest.fail(f"TensorBoard did not start: {''.join(lines)}")
        yield match[0]
        server.terminate()


@pytest.fixture(scope="module")
def during(browser: Chrome, address: str, run: Path, artifacts: Path) -> Pages:
    """The pages while the run trains, once there is something of everything."""
    until(lambda: status(run).get("step", 0) > 20, "20th step")
    tags = f"{address}data/plugin/histograms/tags"
    until(lambda: "fc3/bias" in ask(tags).get("train", ()), "histogram")
    return Pages(browser, address, artifacts, "during")


@pytest.fixture(scope="module")
def after(
    browser: Chrome, run: Path, training: subprocess.Popen[bytes], address: str, artifacts: Path
) -> Pages:
    """The pages when the run is over and TensorBoard has read all of it."""
    os.kill(training.pid, signal.SIGINT)
    assert training.wait(timeout=60) == 128 + signal.SIGINT
    printed = (run.parent / "output").read_text()
    assert f"See it all     {cli.tensorboard_command(run)}\n" in printed
    last = status(run)["step"]
    curve = f"{address}data/plugin/scalars/scalars?run=test&tag=loss"
    until(lambda: ask(curve)[-1][1] == last, "last step")
    return Pages(browser, address, artifacts, "after")


def check_time_series(pages: Pages) -> int:
    """The page it opens with; returns the step that stands in the table below a chart."""
    pages.open("timeseries")
    pages.words("metrics-card-group-toolbar", {"accuracy", "learning_rate", "loss", *LAYERS})
    table, *_ = pages.words("scalar-card-data-table", {"train", "test", "Step"})
    box, *_ = pages.find(BOXES, "scalar-card line-chart")

    def drawn() -> bool:
        colours = np.ptp(pages.part("time-series", box), axis=2)
        return bool(np.count_nonzero(colours > 60) > 50)  # A curve; the grid is gray.

    until(drawn, "curve", PATIENCE)
    pages.close()
    _, _, after_heading = table.partition("Relative")
    (name, _, _, step), *_ = re.findall(r"(test|train) (\S+) (\S+) ([\d,]+) ", after_heading)
    assert name == "test"
    return int(step.replace(",", ""))


def check_scalars(pages: Pages) -> None:
    pages.open("scalars")
    pages.words("tf-scalar-card", {"accuracy", *(f"conv1/{kind}" for kind in DIAGNOSTICS)})
    check_lines(pages, "path.line", 5)
    explained = DESCRIPTIONS["dead_fraction"]
    pages.wait(WORDS, "tf-markdown-view", lambda found: explained in found, explained)
    pages.shoot("scalars")
    pages.close()


def check_lines(pages: Pages, selector: str, least: int, points: int = 2) -> None:
    """Holds that so many lines are drawn, of so many points each at least."""
    pages.wait(
        LINES,
        selector,
        lambda found: sum(line.count("L") + 1 >= points for line in found) >= least,
        f"{least} lines",
    )


def check_custom_scalars(pages: Pages) -> None:
    pages.open("custom_scalars")
    found = pages.words("tf-custom-scalar-multi-line-chart-card", set(CHARTS))
    assert len(found) == 3 + len(DIAGNOSTICS) * len(LAYERS)
    titles = pages.words(".heading", set())
    for diagnostic in DIAGNOSTICS.values():
        assert any(diagnostic.meaning in title for title in titles), titles
    check_lines(pages, "path.line", 2 + 2 + 1 + 4 * len(LAYERS))
    pages.shoot("custom-scalars")
    pages.close()


def check_images(pages: Pages) -> None:
    of_convolutions = {f"{n}/{kind}" for n in LAYERS[:2] for kind in CONVOLUTION_PICTURES}
    of_others = {"fc1/matrix", "fc2/matrix", "fc3/matrix", "fc2/by_class", "inputs/grid"}
    for name, pattern, tags, count in (
        ("convolutions", "conv", of_convolutions, 8),
        ("matrices", "fc|inputs/grid", of_others, 6),  # The grid of each writer.
        ("inputs", "inputs/each", {"inputs/each"}, 12),  # So many are on the first of its pages.
    ):
        pages.open(f"images&tagFilter={quote(pattern)}")
        pages.words("tf-card-heading", tags)
        arrived = pages.wait(
            PICTURES, "img", lambda found, n=count: len(found) >= n, f"{count} pictures"
        )
        if name == "inputs":
            assert [28, 28] in arrived
        pages.shoot(f"images-{name}")
        pages.close()


def check_histograms(pages: Pages) -> None:
    pages.open("histograms")
    pages.words("tf-card-heading", {f"conv1/{kind}" for kind in HISTOGRAMS})
    check_lines(pages, "path.outline", 2 * len(HISTOGRAMS), points=30)
    pages.shoot("histograms")
    pages.close()


def check_graph(pages: Pages) -> None:
    pages.open("graphs")
    boxes = {"batch", "forward", "loss", "gradient_tape", "optimizer"}
    pages.wait(NAMES, "g.node", lambda found: boxes <= set(found), f"the boxes {boxes}")
    assert len(pages.find(NAMES, "g.node")) < 15, "few enough to read"
    pages.shoot("graph")
    pages.close()


def check_projector(pages: Pages) -> None:
    pages.open("projector")
    pages.wait(
        WORDS,
        "vz-projector",
        lambda found: any(re.search("Points: 1000 .*Dimension: 84 ", text) for text in found),
        "1,000 points of 84 numbers",
    )
    assert "Label by: answer" in pages.find(CHOICES, "paper-dropdown-menu")
    box, *_ = pages.find(BOXES, "canvas")

    def drawn() -> bool:
        ink = pages.part("projector", box).max(axis=2) < 60
        return bool(np.mean(ink) > 0.005)  # Of the thumbnails.

    until(drawn, "thumbnails", PATIENCE)
    pages.close()


def check_text(pages: Pages) -> None:
    pages.open("text")
    found = pages.words("tf-text-loader", {"config", "activation", "relu"})
    assert len(found) == 2, "one of each writer"
    pages.shoot("text")
    pages.close()


CHECKS = (
    *(check_scalars, check_custom_scalars, check_images),
    *(check_histograms, check_graph, check_projector),
)
each_page = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])


class TestDuringTraining:
    """Nobody has to wait for the end to see something."""

    @pytest.fixture(autouse=True)
    def _it_trains(self, run: Path, training: subprocess.Popen[bytes]) -> Iterator[None]:
        """Holds that it really is during training, from each test's beginning to its end."""
        before = status(run)
        yield
        assert (before["state"], status(run)["state"]) == ("running", "running")
        assert status(run)["step"] > before["step"]
        assert training.poll() is None

    def test_the_time_series_page_shows_how_far_it_is(self, during: Pages, run: Path) -> None:
        assert 0 < check_time_series(during) <= status(run)["step"]

    @each_page
    def test_every_page_renders(self, during: Pages, check: Callable[[Pages], None]) -> None:
        check(during)


class TestAfterTraining:
    """All of it is there, up to the last step."""

    def test_the_time_series_page_shows_the_last_step(self, after: Pages, run: Path) -> None:
        assert check_time_series(after) == status(run)["step"]

    @each_page
    def test_every_page_renders(self, after: Pages, check: Callable[[Pages], None]) -> None:
        check(after)

    def test_the_options_are_a_table(self, after: Pages) -> None:
        check_text(after)
