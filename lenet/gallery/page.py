"""One page with all figures of a run: a single file that works offline, and can be read back."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import Any, Literal, get_args

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  :root { color-scheme: light; }
  body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #f6f7f9; margin: 0; }
  header, main { max-width: 1240px; margin: 0 auto; padding: 1rem 1.25rem; }
  h1 { font-size: 1.6rem; margin: .5rem 0; }
  nav a { display: inline-block; margin: 0 .9rem .3rem 0; color: #0b5cad; }
  table { border-collapse: collapse; margin: .5rem 0; }
  th, td { text-align: left; vertical-align: top; padding: .1rem 1.2rem .1rem 0;
           font-weight: normal; overflow-wrap: anywhere; }
  th { color: #57606a; white-space: nowrap; }
  section { margin: 1.6rem 0 2.4rem; }
  h2 { font-size: 1.25rem; margin: 0 0 .6rem; }
  figure { background: #fff; border: 1px solid #d8dee4; border-radius: 8px; margin: 0 0 1rem;
           padding: .8rem; break-inside: avoid; }
  figcaption { margin-top: .5rem; color: #424a53; max-width: 75ch; }
  figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
  .grid, .pairs { display: grid; gap: 1rem; }
  .grid { grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); }
  .pairs { grid-template-columns: repeat(auto-fill, minmax(min(480px, 100%), 1fr)); }
  .pairs figure:first-child { grid-column: 1 / -1; }
  .tall img { max-height: 900px; }
  button { font: inherit; padding: .3rem .9rem; margin-bottom: .5rem; cursor: pointer; }
</style>
</head>
<body data-run="{{ run }}">
<header>
  <h1>{{ title }}</h1>
  <table>{% for name, value in facts.items() %}
    <tr><th>{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}
  </table>
  <nav>{% for section in sections %}<a href="#{{ section.name }}">{{ section.heading }}</a>
  {% endfor %}</nav>
  {% if hint %}<p>{{ hint }}</p>{% endif %}
</header>
<main>
{% for section in sections %}
<section id="{{ section.name }}" data-layout="{{ section.layout }}" data-step="{{ section.step }}">
  <h2>{{ section.heading }}</h2>
  {% if section.step != step %}<p>These figures show the network after step {{ section.step }}. The
  newest checkpoint is that of step {{ step }}.</p>{% endif %}
  <div class="{{ section.arrangement }}">
  {% for figure in section.figures %}
  <figure>
    {% if figure.animation %}<button type="button">Play</button>
    <img src="{{ figure.still }}" data-other="{{ figure.animation }}" alt="{{ figure.name }}">
    {% else %}<img src="{{ figure.still }}" alt="{{ figure.name }}">{% endif %}
    <figcaption>{{ figure.caption }}</figcaption>
  </figure>
  {% endfor %}
  </div>
</section>
{% endfor %}
</main>
<script>
  for (const button of document.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const image = button.nextElementSibling;
      [image.src, image.dataset.other] = [image.dataset.other, image.src];
      button.textContent = button.textContent === "Play" ? "Stop" : "Play";
    });
  }
</script>
</body>
</html>
"""


Layout = Literal["column", "tall", "pairs"]
LONGEST_COLUMN = 5


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page.

    Attributes:
        still: the image that the page shows first, as a data address.
        animation: the animation that the user can play, as a data address, or "".
    """

    name: str
    caption: str
    still: str
    animation: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with its figures.

    Attributes:
        name: the target of links to this section.
        step: the number of updates before the checkpoint that the figures show.
        layout: "column" places figures below each other, or in a grid if there are more than
            five. "tall" does the same, but limits their height. "pairs" places the first figure
            across the page and the others in rows of two.
    """

    name: str
    heading: str
    figures: Sequence[PageFigure]
    step: int
    layout: Layout = "column"

    @property
    def arrangement(self) -> str:
        """The name of the layout in the page's styles."""
        is_grid = self.layout == "column" and len(self.figures) > LONGEST_COLUMN
        return "grid" if is_grid else self.layout


def data_address(content: bytes, kind: str) -> str:
    """A data address (`data:` URL), which contains all bytes of a file.

    Args:
        kind: the media type of the file, e.g. "image/png".
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def render(
    title: str,
    facts: Mapping[str, str],
    sections: Sequence[Section],
    hint: str,
    run: str,
    step: int,
) -> str:
    """The page as HTML, with every text escaped.

    Args:
        run: the name of the run, by which `read` recognizes its page.
        step: the step of the newest checkpoint. Sections with an older one say so.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(TEMPLATE)
    return template.render(
        title=title, facts=facts, sections=sections, hint=hint, run=run, step=step
    )


def read(page: str, run: str) -> list[Section]:
    """The sections of a page that `render` made; none if it is the page of a different run."""
    reader = _Reader()
    reader.feed(page)
    return reader.sections if reader.run == run else []


class _Reader(HTMLParser):
    """Collects the sections of a page with their figures."""

    def __init__(self) -> None:
        super().__init__()
        self.run = ""
        self.sections: list[Section] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values: dict[str, Any] = dict(attrs)
        self._inside = tag
        if tag == "body":
            self.run = values.get("data-run", "")
        elif tag == "section" and values.get("data-layout") in get_args(Layout):
            step, layout = int(values["data-step"]), values["data-layout"]
            self.sections.append(Section(values["id"], "", [], step, layout))
        elif tag == "img" and self.sections:
            shown = PageFigure(values["alt"], "", values["src"], values.get("data-other", ""))
            self._change_last(figures=[*self.sections[-1].figures, shown])

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "h2" and self.sections:
            self._change_last(heading=self.sections[-1].heading + data)
        elif self._inside == "figcaption" and self.sections:
            *earlier, last = self.sections[-1].figures
            self._change_last(figures=[*earlier, replace(last, caption=last.caption + data)])

    def _change_last(self, **changes: Any) -> None:
        self.sections[-1] = replace(self.sections[-1], **changes)
