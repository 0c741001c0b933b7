"""Follows the workers of a cluster: which have joined, which can train, which have left."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import distributed

from experiments.grid import greeting

ANSWER_SECONDS = 20
NONE_SECONDS = 300  # A busy computer needs some seconds to start a worker process.

Say = Callable[[str], None]


class Workers:
    """The workers of a cluster. Each new worker first answers which software it has.

    Args:
        client: the `distributed.Client` that is connected to the scheduler.
        folder: the grid's folder, which all workers must see.
        say: prints one line about an event.
        local: whether the workers are processes that this program started itself.

    Attributes:
        present: the addresses of the workers that are connected to the scheduler.
        ready: the addresses of those that can train.
    """

    def __init__(self, client: Any, folder: Path, say: Say, local: bool = False) -> None:
        self.client, self.say = client, say
        self.present: set[str] = set()
        self.ready: dict[str, str] = {}
        self._folder, self._local = str(folder), local
        here = greeting.answer(greeting.PACKAGES)
        self._wanted = {name: value for name, value in here.items() if name != greeting.HOST}
        self._greetings: dict[str, distributed.Future] = {}
        self._waiting, self._last_present = False, time.monotonic()

    @property
    def scheduler(self) -> str:
        """The scheduler's address."""
        return str(self.client.scheduler.address) if self.client.scheduler else "of the cluster"

    def check_scheduler(self) -> None:
        """Checks the software of the scheduler, which reads each request for a run.

        Raises:
            OSError: it differs from that of this machine.
        """
        who = f"The scheduler {self.scheduler}"
        try:
            found = self.client.run_on_scheduler(greeting.answer, greeting.PACKAGES)
        except Exception as error:
            raise OSError(greeting.no_answer(who, error)) from error
        problem = greeting.problem(who, found, self._wanted, self._folder)
        if problem:
            raise OSError(problem)

    def update(self, busy: Collection[str]) -> list[distributed.Future]:
        """Looks which workers have joined, answered or left.

        Args:
            busy: the addresses of workers that have a run. The caller reports it if they leave.

        Returns:
            The answers that are still to come.

        Raises:
            OSError: the scheduler is gone, or no worker can be used.
        """
        try:
            present = set(self.client.nthreads())
        except (OSError, RuntimeError, ValueError) as error:
            raise OSError(
                f"The scheduler {self.scheduler} does not answer any more. The runs keep their "
                "checkpoints. Start the scheduler and the workers again, then repeat the command."
            ) from error
        if present:
            self._last_present = time.monotonic()
        elif self._local and time.monotonic() - self._last_present > NONE_SECONDS:
            raise OSError("The worker processes do not start any more. Repeat the command.")
        gone, new = self.present - present, present - self.present
        self.present = present
        for address in gone:
            self._forget(address, address in busy)
        for address in new:
            self._greetings[address] = self.client.submit(
                greeting.answer,
                greeting.PACKAGES,
                self._folder,
                self._wanted,
                workers=[address],
                pure=False,
            )
        for address in [address for address, asked in self._greetings.items() if asked.done()]:
            self._hear(address, self._greetings.pop(address), bool(busy))
        if not present and not self._local and not self._waiting:
            self.say(f"The scheduler {self.scheduler} has no workers. Waiting for one.")
        self._waiting = not present
        return list(self._greetings.values())

    def name(self, address: str) -> str:
        """A worker as messages name it."""
        return f"{address} on the machine {self.ready[address]}"

    def _hear(self, address: str, asked: distributed.Future, others_train: bool) -> None:
        """Accepts or refuses a worker by its answer."""
        who = f"The worker {address}"
        try:
            # If the worker dies now, its answer is lost, and this waits in vain.
            found = asked.result(timeout=ANSWER_SECONDS)
            problem = greeting.problem(who, found, self._wanted, self._folder)
        except distributed.scheduler.KilledWorker:
            return  # The next update notices that the worker has left.
        except (TimeoutError, CancelledError):
            self.present.discard(address)  # The connection was interrupted, so ask again.
            return
        except Exception as error:
            found, problem = {}, greeting.no_answer(who, error)
        if not problem:
            self.ready[address] = found[greeting.HOST]
            if not self._local:
                self.say(f"Worker {self.name(address)} has joined ({len(self.ready)} in all).")
        elif self.ready or self._greetings or others_train:
            self.say(problem)
        else:
            raise OSError(problem)

    def _forget(self, address: str, busy: bool) -> None:
        """Notes that a worker has left."""
        asked = self._greetings.pop(address, None)
        if asked is not None:
            asked.release()
        name = address if address not in self.ready else self.name(address)
        self.ready.pop(address, None)
        if busy:
            return
        if self._local:
            self.say("A worker process died. It had no run. Another one replaces it.")
        else:
            self.say(f"Worker {name} has left ({len(self.ready)} in all).")
