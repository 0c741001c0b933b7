"""Reads the descriptions in event files, as TensorBoard shows them."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from lenet.recording import events


def descriptions(folder: Path) -> dict[str, list[str]]:
    """The description of each value in a folder's event files, by tag; "" if it has none."""
    found: dict[str, list[str]] = {}
    for path in events.event_files(folder):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(value.metadata.summary_description)
    return found
