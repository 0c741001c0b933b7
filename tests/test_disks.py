"""A disk that is full, or a folder that disappears, is noticed and named, and costs no step."""

from __future__ import annotations

import contextlib
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.scalar.summary import pb
from tensorboard.util import tensor_util

from lenet.recording import events, runs
from lenet.recording.summaries import Writer

if TYPE_CHECKING:
    from lenet.training.trainer import Trainer

Fit = Callable[..., "Trainer"]


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process can become larger, as on a disk that is full for every file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def large_summary(size: int = 40_000) -> Summary:
    """A summary as large as an inspection, which the writer's buffer cannot hold."""
    summary = Summary()
    summary.value.add(tag="conv1/kernels", tensor=tensor_util.make_tensor_proto(bytes(size)))
    return summary


def recorded(run: Path) -> dict[tuple[str, str], list[tuple[int, object]]]:
    """What a run recorded, by writer and tag, except what depends on its name and its speed."""
    return {
        (split, tag): [(int(step), value.tolist()) for step, value in zip(*found, strict=True)]
        for split in ("train", "test")
        for tag, found in events.read_tensors(run / split).items()
        if tag not in ("images_per_second", "config")
    }


def steps_written(run: Path) -> dict[tuple[str, str], list[int]]:
    """The steps of each tag in the order of the files, repetitions included."""
    found: dict[tuple[str, str], list[int]] = {}
    for split in ("train", "test"):
        for path in events.event_files(run / split):
            for event in EventFileLoader(str(path)).Load():
                for value in event.summary.value:
                    found.setdefault((split, value.tag), []).append(event.step)
    return {key: steps for key, steps in found.items() if key[1] != "images_per_second"}


class TestWriter:
    """TensorFlow's event writer ignores a record that does not fit. `Writer` notices."""

    @pytest.mark.parametrize("missing", [1, 4_096, 30_000, 40_100])
    def test_a_lost_event_is_an_error_that_names_the_folder(
        self, tmp_path: Path, missing: int
    ) -> None:
        def write(folder: Path) -> Path:
            writer = Writer(folder)
            for step in range(2):
                writer.write(large_summary(), step)
            writer.close()
            return events.event_files(folder)[0]

        size = write(tmp_path / "whole").stat().st_size
        small = tmp_path / "small"
        with largest_file(size - missing), pytest.raises(OSError, match="Only|large") as caught:
            write(small)
        assert caught.value.filename == str(small)

    def test_an_event_lost_while_the_disk_was_full_for_a_moment(self, tmp_path: Path) -> None:
        writer = Writer(tmp_path)
        writer.write(pb("loss", 1.0), 1)
        with largest_file(20_000), contextlib.suppress(OSError):
            writer.write(large_summary(), 2)
            writer.tensorflow_writer.flush()
        writer.write(pb("loss", 3.0), 3)
        with pytest.raises(OSError, match=r"Only \d of 4 TensorBoard events could be written"):
            writer.close()

    def test_a_deleted_folder_is_noticed_at_the_next_write(self, tmp_path: Path) -> None:
        writer = Writer(tmp_path / "train")
        shutil.rmtree(tmp_path / "train")
        (tmp_path / "train").mkdir()
        with pytest.raises(FileNotFoundError) as caught:
            writer.write(pb("loss", 1.0), 1)
        assert str(caught.value.filename).startswith(str(tmp_path / "train"))

    def test_every_kind_of_event_is_counted(self, tmp_path: Path) -> None:
        writer = Writer(tmp_path)
        with writer.active(records=3):
            tf.summary.scalar("loss", 1.0, step=1)
            tf.summary.text("config", "a table", step=0)
            tf.summary.graph(tf.Graph())
        writer.write(large_summary(), 2)
        writer.flush()
        writer.close()
        (path,) = events.event_files(tmp_path)
        assert events.count_records(path) == (5, path.stat().st_size)


class TestTraining:
    """A run on a disk that is too small ends with an error and can continue later."""

    def test_the_last_inspection_is_not_lost_in_silence(
        self, tmp_path: Path, fit: Fit, go_on: Fit
    ) -> None:
        whole = fit(inspect_every=4, logdir=tmp_path, run_name="whole").history.run
        (path,) = events.event_files(whole / "train")
        with largest_file(path.stat().st_size - 20_000), pytest.raises(OSError, match="Only"):
            fit(inspect_every=4, logdir=tmp_path, run_name="small")
        run = tmp_path / "small"
        assert runs.read_status(run)["state"] == "failed"
        go_on(run)
        assert recorded(run) == recorded(whole)
        assert steps_written(run) == steps_written(whole)
        assert (run / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
