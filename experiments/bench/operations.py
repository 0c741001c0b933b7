"""The part `operations`: which TensorFlow operations take the time of a training step."""

from __future__ import annotations

import collections
import json
import re
import sys
import tempfile
import time
from pathlib import Path

from experiments.bench.options import Options
from experiments.bench.rounds import Answer, time_command
from experiments.bench.settings import Settings

BATCH_SIZE = 128
STEPS, QUICK_STEPS = 200, 20
SHOWN = 12
THREADS = 2
# How a profile names an operation: its name in the graph, then its type.
OPERATION = re.compile(r"[\w/.-]+:(?P<type>\w+)")
# What TensorFlow adds to the name of an operation if oneDNN computes it.
ONEDNN = "_MklNative"
NAMES = {
    "Conv2DBackpropInput": "convolution, gradient of its input",
    "Conv2DBackpropFilter": "convolution, gradient of its kernel",
    "Conv2D": "convolution",
    "MaxPoolGrad": "max pooling, gradient",
    "MaxPool": "max pooling",
    "MatMul": "matrix product",
    "FusedMatMul": "matrix product with bias and activation",
    "BiasAddGrad": "bias, gradient",
    "BiasAdd": "bias",
    "ResourceApplyAdam": "Adam",
}


def measure(options: Options) -> Answer:
    """Profiles some steps of `lenet` without logging, in a separate process."""
    steps = QUICK_STEPS if options.quick else STEPS
    settings = options.settings(batch_size=BATCH_SIZE)
    program = [sys.executable, "-m", "experiments.bench.operations", settings.to_json(), str(steps)]
    answer = json.loads(time_command(program)["output"].splitlines()[-1])
    notes = [f"{settings.words}, share of the time of {THREADS} threads during {steps} steps:"]
    notes += [
        f"{100 * row['share']:5.1f} %  {row['calls_per_step']:5.1f} per step  {row['operation']}"
        for row in answer["operations"][:SHOWN]
    ]
    notes.append(f"{100 * answer['between']:5.1f} %  between operations: waiting and scheduling")
    return {"measurements": [], "ratios": [], "notes": notes, **answer}


def profile(settings: Settings, steps: int) -> None:
    """Profiles steps after a warm-up, and prints the result as JSON."""
    from lenet.training.runtime import start_tensorflow

    start_tensorflow(lean=True)
    import numpy as np
    import tensorflow as tf

    from lenet import Trainer
    from lenet.data.sampling import epoch_order

    dataset = settings.dataset()
    trainer = Trainer(settings.config(), dataset)
    steps = min(steps, trainer.schedule.steps_per_epoch)
    order = tf.constant(epoch_order(settings.seed, 0, len(dataset.train)))
    rates = np.full(steps, trainer.peak_rate, np.float32)
    trainer.steps.train(order, first=0, rates=rates)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            started = time.perf_counter()
            trainer.steps.train(order, first=0, rates=rates)
            seconds = time.perf_counter() - started
        busy, calls = _read(Path(folder))
    available = THREADS * seconds
    rows = [
        {
            "operation": _in_words(name),
            "share": busy[name] / available,
            "calls_per_step": calls[name] / steps,
        }
        for name, _ in busy.most_common()
    ]
    print(json.dumps({"operations": rows, "between": 1 - sum(busy.values()) / available}))


def _read(folder: Path) -> tuple[collections.Counter[str], collections.Counter[str]]:
    """The seconds and the number of calls of each operation in a recorded profile."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    busy: collections.Counter[str] = collections.Counter()
    calls: collections.Counter[str] = collections.Counter()
    for path in folder.rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        for plane in space.planes:
            for event in (event for line in plane.lines for event in line.events):
                named = OPERATION.fullmatch(plane.event_metadata[event.metadata_id].name)
                if named:
                    busy[named["type"]] += event.duration_ps / 1e12
                    calls[named["type"]] += 1
    return busy, calls


def _in_words(kind: str) -> str:
    """An operation's type, with its meaning if it is common."""
    name = kind.removeprefix(ONEDNN).removeprefix("_Mkl")
    return f"{NAMES[name]} ({name})" if name in NAMES else name


if __name__ == "__main__":
    profile(Settings.from_json(sys.argv[1]), int(sys.argv[2]))
