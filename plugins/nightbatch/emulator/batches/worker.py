"""One thread that computes the answers of batches, slice by slice; the batch that is due first goes first."""

import heapq
import itertools
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import NamedTuple


class _Task(NamedTuple):
    """What is to be done, a step at a time. Tasks are sorted by when they are due, then by their numbers."""

    due: float
    number: int
    steps: Iterator[None]
    future: Future[None]


class Worker:
    """Runs iterators to their ends, a step at a time; of several always the one that is due first."""

    def __init__(self) -> None:
        self._tasks: list[_Task] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name="emulator-worker", daemon=True
        )
        self._thread.start()

    def add(self, steps: Iterator[None], *, due: float) -> Future[None]:
        """Add a task; the future resolves when it ends, or with its error."""
        future: Future[None] = Future()
        with self._changed:
            number = next(self._numbers)
            task = _Task(due, number, steps, future)
            heapq.heappush(self._tasks, task)
            self._changed.notify()
        return future

    def stop(self) -> None:
        """Stop after the current step; unfinished tasks stay unfinished."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._tasks or self._stopped)
                if self._stopped:
                    return
                task = self._tasks[0]
            self._step(task)

    def _step(self, task: _Task) -> None:
        try:
            next(task.steps)
        except StopIteration:
            self._drop(task)
            task.future.set_result(None)
        except BaseException as error:
            self._drop(task)
            logging.getLogger(__name__).exception("a batch could not be worked out")
            task.future.set_exception(error)

    def _drop(self, ended_task: _Task) -> None:
        with self._changed:
            self._tasks = [task for task in self._tasks if task is not ended_task]
            heapq.heapify(self._tasks)
