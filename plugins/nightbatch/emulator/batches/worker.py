"""One thread that works out batches beside the server: whoever is due first comes first, slice by slice."""

import heapq
import itertools
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future


class Worker:
    """Runs iterators to their ends, a step at a time; of several always the one that is due first."""

    def __init__(self) -> None:
        self._tasks: list[tuple[float, int, Iterator[None], Future[None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name="emulator-worker", daemon=True
        )
        self._thread.start()

    def add(self, task: Iterator[None], *, due: float) -> Future[None]:
        """Take on a task; the future ends with it, or with its error."""
        done: Future[None] = Future()
        with self._changed:
            heapq.heappush(self._tasks, (due, next(self._numbers), task, done))
            self._changed.notify()
        return done

    def stop(self) -> None:
        """Stop after the step under way; what is not done stays undone."""
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
                _, number, task, done = self._tasks[0]
            self._step(number, task, done)

    def _step(self, number: int, task: Iterator[None], done: Future[None]) -> None:
        try:
            next(task)
        except StopIteration:
            self._drop(number)
            done.set_result(None)
        except BaseException as error:
            self._drop(number)
            logging.getLogger(__name__).exception("a batch could not be worked out")
            done.set_exception(error)

    def _drop(self, number: int) -> None:
        with self._changed:
            self._tasks = [task for task in self._tasks if task[1] != number]
            heapq.heapify(self._tasks)
