"""Event files read back: the same values TensorBoard's own reader finds, torn files included."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lenet.recording import events

SCALARS = {step: step / 3 for step in range(10)}
PICTURE = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(1, 5, 4, 3)


def write(folder: Path, steps: range = range(10)) -> None:
    """Writes one event file with a scalar, a histogram, a picture and a text."""
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step in steps:
            tf.summary.scalar("loss", SCALARS[step], step=step)
            if step % 5 == 0:
                tf.summary.histogram("conv1/kernel", np.arange(100.0), step=step)
                tf.summary.image("conv1/kernels", PICTURE, step=step)
        tf.summary.text("config", "a table", step=0)
    writer.close()


def steps_in_tensorboard(folder: Path, tag: str = "loss") -> list[int]:
    """The steps TensorBoard would draw."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return [event.step for event in accumulator.Tensors(tag)]


def test_scalars_come_back(tmp_path: Path) -> None:
    write(tmp_path)
    scalars = events.read_scalars(tmp_path)
    assert list(scalars) == ["loss"]
    steps, values = scalars["loss"]
    assert steps.tolist() == list(SCALARS)
    np.testing.assert_array_equal(values, np.float32(list(SCALARS.values())))


def test_histograms_pictures_and_text_come_back(tmp_path: Path) -> None:
    write(tmp_path)
    tensors = events.read_tensors(tmp_path)
    steps, histograms = tensors["conv1/kernel"]
    assert steps.tolist() == [0, 5]
    assert histograms[0].shape[1] == 3
    assert histograms[0][:, 2].sum() == 100
    assert (histograms[0][0, 0], histograms[0][-1, 1]) == (0, 99)
    width, height, png = tensors["conv1/kernels"][1][1]
    assert (int(width), int(height)) == (4, 5)
    np.testing.assert_array_equal(tf.io.decode_png(png), PICTURE[0])
    assert tensors["config"][1][0].item() == b"a table"


def test_files_of_one_writer_are_read_as_one(tmp_path: Path) -> None:
    write(tmp_path, range(6))
    first = events.event_files(tmp_path)[0]
    first.rename(first.with_name(first.name.replace("tfevents.", "tfevents.0")))
    write(tmp_path, range(5, 10))
    assert len(events.event_files(tmp_path)) == 2
    assert events.read_scalars(tmp_path)["loss"][0].tolist() == list(range(10))


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no event files in"):
        events.read_scalars(tmp_path)


def cut(content: bytes) -> bytes:
    return content[:-7]


def zeros(content: bytes) -> bytes:
    return content + bytes(4096)


def garbage(content: bytes) -> bytes:
    return content + bytes(range(100, 200))


def half_a_header(content: bytes) -> bytes:
    return content + content[:5]


def damaged_message(content: bytes) -> bytes:
    return content[:-40] + bytes([255]) * 30 + content[-10:]


TAILS: list[Callable[[bytes], bytes]] = [cut, zeros, garbage, half_a_header, damaged_message]


@pytest.mark.parametrize("spoil", TAILS, ids=lambda spoil: spoil.__name__)
def test_a_torn_tail_hides_nothing_before_it(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    write(tmp_path)
    (path,) = events.event_files(tmp_path)
    path.write_bytes(spoil(path.read_bytes()))
    assert events.read_scalars(tmp_path)["loss"][0].tolist() == list(range(10))


@pytest.mark.parametrize("spoil", [bytes, *TAILS], ids=lambda spoil: spoil.__name__)
def test_cutting_leaves_a_file_that_tensorboard_reads(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    write(tmp_path)
    (path,) = events.event_files(tmp_path)
    path.write_bytes(spoil(path.read_bytes()))
    events.cut_after(tmp_path, 4)
    assert events.event_files(tmp_path) == [path]
    assert len(list(tmp_path.iterdir())) == 1, "a temporary file is left over"
    assert events.read_scalars(tmp_path)["loss"][0].tolist() == [0, 1, 2, 3, 4]
    assert events.read_tensors(tmp_path)["conv1/kernel"][0].tolist() == [0]
    assert steps_in_tensorboard(tmp_path) == [0, 1, 2, 3, 4]
    assert steps_in_tensorboard(tmp_path, "conv1/kernels") == [0]


def test_what_goes_on_after_a_cut_shows_no_step_twice(tmp_path: Path) -> None:
    write(tmp_path)
    events.cut_after(tmp_path, 4)
    (path,) = events.event_files(tmp_path)
    path.rename(path.with_name(path.name.replace("tfevents.", "tfevents.0")))
    write(tmp_path, range(5, 10))
    assert steps_in_tensorboard(tmp_path) == list(range(10))


def test_nothing_to_cut_changes_nothing(tmp_path: Path) -> None:
    events.cut_after(tmp_path / "absent", 3)
    write(tmp_path)
    (path,) = events.event_files(tmp_path)
    before = (path.read_bytes(), path.stat().st_ino)
    events.cut_after(tmp_path, 9)
    assert (path.read_bytes(), path.stat().st_ino) == before


def test_reading_and_cutting_need_no_tensorflow(tmp_path: Path, root: Path) -> None:
    write(tmp_path)
    program = (
        "import sys; from lenet.recording import events\n"
        "events.cut_after(sys.argv[1], 6)\n"
        "steps, values = events.read_scalars(sys.argv[1])['loss']\n"
        "print(steps.tolist(), 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout == "[0, 1, 2, 3, 4, 5, 6] False\n"


def test_a_file_made_after_the_clock_was_set_back_is_read_last(tmp_path: Path) -> None:
    later = tmp_path / "events.out.tfevents.4000000000.host.1.0.v2"
    write(tmp_path, range(5))
    (path,) = events.event_files(tmp_path)
    path.rename(later)
    write(tmp_path, range(5, 10))
    (new,) = set(events.event_files(tmp_path)) - {later}
    new = events.named_last(new)
    assert events.event_files(tmp_path) == [later, new]
    assert steps_in_tensorboard(tmp_path) == list(range(10))
    assert events.named_last(new) == new
