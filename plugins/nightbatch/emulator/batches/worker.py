"""One thread that computes the answers of batches, slice by slice; the batch that is due first goes first."""

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
        """Add a task; the future resolves when it ends, or with its error."""
        task_future: Future[None] = Future()
        with self._changed:
            task_number = next(self._numbers)
            heapq.heappush(self._tasks, (due, task_number, task, task_future))
            self._changed.notify()
        return task_future

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
                _, task_number, task, task_future = self._tasks[0]
            self._step(task_number, task, task_future)

    def _step(
        self, number: int, task: Iterator[None], task_future: Future[None]
    ) -> None:
        try:
            next(task)
        except StopIteration:
            self._drop(number)
            task_future.set_result(None)
        except BaseException as error:
            self._drop(number)
            logging.getLogger(__name__).exception("a batch could not be worked out")
            task_future.set_exception(error)

    def _drop(self, number: int) -> None:
        with self._changed:
            self._tasks = [task for task in self._tasks if task[1] != number]
            heapq.heapify(self._tasks)
