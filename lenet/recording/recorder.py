"""Writes everything a run records: TensorBoard events, metrics.csv, inspections and its status."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from lenet import files
from lenet.data.datasets import Dataset, Split
from lenet.recording import inspections, predictions, projector, runs
from lenet.recording.inspections import Inspection
from lenet.recording.summaries import Summaries


class Recorder:
    """Records one run in its folder. It is a context manager that closes its files.

    Args:
        run: the run's folder.

    Raises:
        OSError: the folder cannot be written. This applies to every method.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._summaries = Summaries(run)
        self._encoder = ThreadPoolExecutor(max_workers=1)
        self._encoding: tuple[Inspection, Future[bytes]] | None = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # After an error, closing would often only repeat it.
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            self._write_encoded(wait=True)
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            self._summaries.close()
        self._encoder.shutdown()

    def beginning(self, options: dict[str, Any], layers: list[str], dataset: Dataset) -> None:
        """Records what does not change in training: options, page layout, inputs."""
        self._summaries.write_config(options)
        self._summaries.write_layout(layers)
        self._summaries.write_inputs(dataset.train, dataset.test, dataset.class_names)

    def graph(self, graph: tf.Graph) -> None:
        """Records what one training step computes."""
        self._summaries.write_graph(graph)

    def training(
        self,
        *,
        epoch: int,
        steps: np.ndarray,
        losses: np.ndarray,
        accuracies: np.ndarray,
        rates: np.ndarray,
    ) -> None:
        """Records the training values of some steps of one epoch (from 1). All arrays are [n]."""
        self._write_encoded()
        self._summaries.write_train_steps(steps, losses, accuracies, rates)
        rows = zip(steps.tolist(), losses.tolist(), accuracies.tolist(), strict=True)
        runs.append_metrics(self.run, [(step, epoch, "train", *values) for step, *values in rows])

    def speed(self, step: int, images_per_second: float) -> None:
        """Records the speed of the compiled call that ended at `step`."""
        self._summaries.write_speed(step, images_per_second)

    def evaluation(
        self, *, epoch: int, step: int, loss: float, accuracy: float, split: str = "test"
    ) -> None:
        """Records the means over the images of a split, "test" or "validation"."""
        self._summaries.write_evaluation(step, loss, accuracy, split)
        runs.append_metrics(self.run, [(step, epoch, split, loss, accuracy)])

    def inspection(self, inspection: Inspection) -> None:
        """Records histograms, diagnostics and images of every layer, and their arrays.

        Encoding them takes longer than computing them. Another thread does it while training
        continues. The next call of `training` after that, or `flush`, writes them.
        """
        self._write_encoded(wait=True)
        encoded = self._encoder.submit(self._summaries.encode_inspection, inspection)
        self._encoding = inspection, encoded

    def _write_encoded(self, wait: bool = False) -> None:
        """Writes the last inspection if it is encoded.

        Args:
            wait: wait until it is.
        """
        if self._encoding is None or not (wait or self._encoding[1].done()):
            return
        (inspection, encoded), self._encoding = self._encoding, None
        self._summaries.write_inspection(inspection.step, encoded.result())
        inspections.save(self.run / runs.INSPECTIONS, inspection)

    def projection(
        self, layer: str, features: np.ndarray, predicted: np.ndarray, dataset: Dataset
    ) -> None:
        """Records the first test images as points of TensorBoard's projector.

        Args:
            layer: the layer that computes the features, e.g. "fc2".
            features: float32 [n, d], of the first n test images.
            predicted: int [n], the classes that the network predicts.
        """
        count = len(features)
        projector.write(
            self.run / "test",
            layer,
            features,
            dataset.test.images[:count],
            dataset.test.labels[:count],
            predicted,
            dataset.class_names,
        )

    def predictions(self, step: int, logits: np.ndarray, test: Split) -> None:
        """Records the predictions of the trained network for all test images.

        Args:
            step: the number of updates.
            logits: float32 [n, classes].
            test: the test images with their classes.
        """
        predictions.save(self.run, predictions.predictions_of(step, logits, test))

    def flush(self) -> None:
        """Writes all events, so that TensorBoard shows them, and checks that none is lost."""
        self._write_encoded(wait=True)
        self._summaries.flush()

    def sync(self) -> None:
        """As `flush`, and waits until events and metrics.csv are on the disk.

        A checkpoint then never has more steps than the records next to it, even after the power
        has failed.
        """
        self._write_encoded(wait=True)
        self._summaries.sync()
        files.sync(self.run / runs.METRICS)
        files.sync(self.run)
