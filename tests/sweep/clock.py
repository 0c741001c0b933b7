"""The system's clock is set a day back or forward while a run trains, or between two sessions."""

from __future__ import annotations

import functools
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lenet.recording import events, runs

from . import Trial, Unavailable, _runs
from ._zygote import Zygote

FAULT = "The clock of the system is set one day back or forward, during training or before a resume"
PROMISE = "Weights, event files and metrics.csv are the same, and TensorBoard reads every step."
SAMPLE = 1
DAY = 86_400
MOMENTS = 10

# Preloaded into a process, it adds the number in a file to every time that the process asks for.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) {
  static volatile long *shared;
  if (!shared) {
    int file = open(getenv("CLOCK_OFFSET"), O_RDONLY);
    shared = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
  }
  return *shared;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += offset();
  return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exact;
  int result = clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return result;
}
time_t time(time_t *where) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (where) *where = exact.tv_sec;
  return exact.tv_sec;
}
"""


def trials(folder: Path) -> Iterator[Trial]:
    """Event files of a later day before a resume, and real processes whose clock jumps."""
    for days in (-1, 1):
        for step in range(1, 5):
            run = partial(_between_sessions, folder / "logdir", days, step)
            yield Trial(f"{days:+} day before a resume after step {step}", run)
    rng = random.Random(0)
    for days in (-1, 1):
        for moment in range(MOMENTS):
            run = partial(_while_training, folder / "logdir", days, rng.uniform(0.5, 2))
            yield Trial(f"{days:+} day in training ({moment})", run, slow=True)


def _between_sessions(logdir: Path, days: int, step: int) -> None:
    """To the second session, the first one was tomorrow or yesterday."""
    sent: list[int] = []

    def hook(now: int) -> None:
        if now >= step and not sent:
            sent.append(now)
            os.kill(os.getpid(), signal.SIGTERM)

    run = _runs.fresh(logdir) / _runs.RUN
    assert _runs.start(logdir, hook=hook).code == 143
    for split in ("train", "test"):
        [path] = events.event_files(run / split)
        start, end = path.name.split("tfevents.")
        seconds, rest = end.split(".", 1)
        path.rename(path.with_name(f"{start}tfevents.{int(seconds) - days * DAY}.{rest}"))
    assert _runs.resume(run).code == 0
    _runs.check_complete(run)


@functools.cache
def _shifted() -> tuple[Zygote, Path]:
    """Programs whose clock is shifted by the number in a file."""
    folder = Path(tempfile.mkdtemp(prefix="sweep-clock-"))
    source, library, offset = folder / "clock.c", folder / "clock.so", folder / "offset"
    source.write_text(SHIM)
    offset.write_bytes(struct.pack("q", 0))
    if shutil.which("gcc") is None:
        raise Unavailable("needs gcc")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return Zygote({"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}), offset


def _while_training(logdir: Path, days: int, seconds: float) -> None:
    run, errors = _runs.fresh(logdir) / _runs.RUN, logdir.with_name("errors.txt")
    programs, offset = _shifted()
    _set(offset, 0)
    process = programs.start(_runs.arguments(logdir), errors)
    time.sleep(seconds)
    _set(offset, days * DAY)
    assert programs.wait(process) == 0, errors.read_text()
    assert runs.read_status(run)["seconds"] < 60
    _runs.check_complete(run)


def _set(offset: Path, seconds: int) -> None:
    with offset.open("r+b") as file:  # In place, because it is mapped.
        file.write(struct.pack("q", seconds))
