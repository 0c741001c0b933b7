"""Writes the page: one file with HTML, CSS, JavaScript, weights and images, which works offline."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # It needs TensorFlow.
    from lenet.live.export import Content

WEB = Path(__file__).parent / "web"
# In this order: a file uses only names of the files before it, except inside functions.
SCRIPTS = (
    "activations.js",
    "network.js",
    "weights.js",
    "state.js",
    "resampling.js",
    "ink.js",
    "preparation.js",
    "colours.js",
    "layer_view.js",
    "bands.js",
    "answer.js",
    "tracing.js",
    "closer.js",
    "sketch.js",
    "sources.js",
    "training.js",
    "what_if.js",
    "attribution.js",
    "units.js",
    "tour.js",
    "main.js",
)


def render(content: Content) -> str:
    """The page as HTML. All text is escaped, and a policy forbids all content from elsewhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(WEB),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _script()
    # Browsers hash the script as it is in the page, so no character may be added to it.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("live.html").render(
        policy=Markup(
            f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        ),
        style=Markup((WEB / "live.css").read_text()),
        script=Markup(script),
        description=content.description,
        blobs=content.weights,
    )


def _script() -> str:
    """All files of the script as one. None of their names is visible outside it, except `live`."""
    parts = [f"// {name}\n{(WEB / name).read_text()}" for name in SCRIPTS]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n"
