"""The part `job`: the time from the start of the process to the finished run, with all logging."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from experiments.bench.options import Options
from experiments.bench.rounds import Answer, compare, time_command

ROUNDS = 3
EPOCHS, QUICK_EPOCHS, BATCH_SIZE = 5, 1, 100
OURS, HOMEWORK = "lenet.train", "homework"
WORDS = {
    OURS: "python -m lenet.train with all logging, checkpoints and figures, at its defaults",
    HOMEWORK: "a script in one file, as for a course: scalars at each step, histograms and "
    "matplotlib figures every 200 steps, an evaluation after each epoch",
}


def measure(options: Options) -> Answer:
    """Times both programs in turns."""
    epochs = QUICK_EPOCHS if options.quick else EPOCHS
    folder = options.mnist_folder()
    # The warm-up. After it, the libraries are in the memory of the system.
    time_command([sys.executable, "-c", "import tensorflow, matplotlib.pyplot, sklearn"])
    answers: dict[str, list[Answer]] = {OURS: [], HOMEWORK: []}
    for _ in range(options.rounds_of(ROUNDS)):
        for name in answers:
            with tempfile.TemporaryDirectory() as logdir:
                answer = time_command(_command(name, folder, logdir, epochs))
            answers[name].append(answer)
            print(f"{name}: {answer['seconds']:.1f} s", flush=True)
    seconds = {name: [answer["seconds"] for answer in own] for name, own in answers.items()}
    setting = f"batch {BATCH_SIZE}, {epochs} epoch{'' if epochs == 1 else 's'}"
    ratio = compare(f"{HOMEWORK} / {OURS}", seconds[HOMEWORK], seconds[OURS], setting=setting)
    return {
        "measurements": [
            {"contestant": name, "what": WORDS[name], "setting": setting, "answers": own}
            for name, own in answers.items()
        ],
        "ratios": [ratio],
        "notes": [],
    }


def _command(name: str, folder: Path, logdir: str, epochs: int) -> list[str]:
    if name == HOMEWORK:
        program = [sys.executable, "-m", "experiments.bench.homework"]
        return [*program, str(folder), logdir, "relu", str(epochs), str(BATCH_SIZE)]
    command = [sys.executable, "-m", "lenet.train", "--data-dir", str(folder), "--logdir", logdir]
    return [*command, "--epochs", str(epochs), "--batch-size", str(BATCH_SIZE)]
