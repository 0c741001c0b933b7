"""The page with all figures: one file that needs no other, read as HTML and in Chromium."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from lenet.gallery.page import PageFigure, Section, data_address, read, render

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

NASTY = "<b>\"bold\"</b> & 'more' <script>document.title = 'hacked'</script>"


def png(shade: int) -> bytes:
    """A small gray image."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 60), shade, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def gif() -> bytes:
    """Three frames."""
    buffer = io.BytesIO()
    frames = [Image.fromarray(np.full((40, 60), shade, np.uint8)) for shade in (0, 120, 240)]
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    return buffer.getvalue()


def figure(name: str, caption: str = "What to look for.", moving: bool = False) -> PageFigure:
    return PageFigure(
        name,
        caption,
        data_address(png(len(name)), "image/png"),
        data_address(gif(), "image/gif") if moving else "",
    )


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    """Three sections; one with an animation, one with many figures, one with nasty texts."""
    return [
        Section("evolution", "During training", [figure("kernels", moving=True)], 600),
        Section("fc2_map", "Class by class", [figure(f"fc2_map_{n}") for n in range(10)], 600),
        Section("embeddings", NASTY, [figure(NASTY, NASTY)], 600, "pairs"),
    ]


@pytest.fixture(scope="module")
def page(sections: list[Section]) -> str:
    """The page with these sections."""
    title, facts = f"What the network learned: {NASTY}", {"run": NASTY, "seed": "0"}
    return render(title, facts, sections, NASTY, NASTY, 600)


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


class TestHtml:
    """What is written into the file."""

    def test_it_refers_to_nothing_outside_itself(self, page: str) -> None:
        for tag, attributes in Reader(page).tags:
            for name in ("src", "href", "srcset", "data-other", "poster", "action"):
                address = attributes.get(name)
                assert address is None or address.startswith(("data:image/", "#")), tag
        for loader in ("http:", "https:", "file:", "url(", "@import", "<link", "fetch(", "//cdn"):
            assert loader not in page

    def test_every_link_leads_to_a_section(self, page: str) -> None:
        reader = Reader(page)
        links = [attributes["href"] for attributes in reader.all("a")]
        ids = [f"#{attributes['id']}" for attributes in reader.all("section")]
        assert links == ids == ["#evolution", "#fc2_map", "#embeddings"]

    def test_each_section_has_its_layout_and_many_figures_are_a_grid(self, page: str) -> None:
        layouts = [attributes["class"] for attributes in Reader(page).all("div")]
        assert layouts == ["column", "grid", "pairs"]

    def test_figures_are_in_it_byte_for_byte(self, page: str) -> None:
        reader = Reader(page)
        sources = [str(attributes["src"]) for attributes in reader.all("img")]
        assert len(sources) == 12
        contents = [base64.b64decode(source.split(",", 1)[1]) for source in sources]
        assert contents[0] == png(len("kernels"))
        moving = str(reader.all("img")[0]["data-other"])
        assert moving.startswith("data:image/gif;base64,")
        assert base64.b64decode(moving.split(",", 1)[1]) == gif()

    def test_every_figure_has_a_text_for_those_who_cannot_see_it(self, page: str) -> None:
        assert all(attributes["alt"] for attributes in Reader(page).all("img"))

    def test_texts_are_escaped(self, page: str) -> None:
        reader = Reader(page)
        assert reader.all("b") == []
        assert len(reader.all("script")) == 1, "the page's own"
        said = [text for text in reader.texts if NASTY in text]
        # Title, heading, fact, link, hint, heading of the section, caption.
        assert len(said) == 7

    def test_it_can_be_read_back(self, page: str, sections: list[Section]) -> None:
        assert read(page, NASTY) == sections
        assert read(page, "another run") == read("<p>No page of ours</p>", "") == []

    def test_figures_of_an_older_checkpoint_say_so(self, sections: list[Section]) -> None:
        newer = render("", {}, [*sections[1:], replace(sections[0], step=900)], "", "run", 900)
        assert newer.count("These figures show the network after step 600") == 2
        assert newer.count("data-step") == 3
        assert [section.step for section in read(newer, "run")] == [600, 600, 900]

    def test_it_is_one_utf8_document_with_a_language(self, page: str) -> None:
        reader = Reader(page)
        assert page.startswith("<!doctype html>")
        assert reader.all("html") == [{"lang": "en"}]
        assert {"charset": "utf-8"} in reader.all("meta")


@pytest.mark.browser
class TestInChromium:
    """What a reader sees."""

    @pytest.fixture(autouse=True)
    def _opened(self, browser: Chrome, page: str, tmp_path: Path) -> None:
        path = tmp_path / "index.html"
        path.write_text(page)
        browser.get_log("browser")
        browser.get(path.as_uri())

    def test_it_opens_without_errors_and_asks_for_no_other_file(self, browser: Chrome) -> None:
        script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
        asked: Any = browser.execute_script(script)
        assert [name for name in asked if not name.startswith("data:")] == []
        assert browser.get_log("browser") == []
        assert browser.title.startswith("What the network learned: <b>")

    def test_every_figure_is_shown(self, browser: Chrome) -> None:
        script = "return [...document.images].map(image => [image.naturalWidth, image.width])"
        sizes = browser.execute_script(script)
        assert [width for width, _ in sizes] == [60] * 12
        assert all(shown > 0 for _, shown in sizes)

    def test_an_animation_is_still_until_played_and_can_be_stopped(self, browser: Chrome) -> None:
        image, button = (
            browser.find_element("css selector", f"#evolution {tag}") for tag in ("img", "button")
        )

        def state() -> tuple[str, str]:
            return str(image.get_attribute("src"))[:14], button.text

        assert state() == ("data:image/png", "Play")
        button.click()
        assert state() == ("data:image/gif", "Stop")
        button.click()
        assert state() == ("data:image/png", "Play")

    @pytest.mark.parametrize("width", [360, 1200])
    def test_nothing_is_wider_than_the_window(self, browser: Chrome, width: int) -> None:
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        widths = "return [document.documentElement.scrollWidth, window.innerWidth]"
        content, window = browser.execute_script(widths)
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert content <= window
