"""An emulator inside another program: a thread with a server of its own, and a handle on it."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.server import listening
from nightbatch.emulator.settings import Settings
from nightbatch.emulator.wire import Json


class Emulator:
    """A handle on an emulator, wherever it runs: its address, its books, its faults, its clock."""

    def __init__(self, url: str) -> None:
        self.url = url

    def books(self) -> Json:
        """Return the books, once all pending answers are worked out."""
        return self._call("GET", "books")

    def faults(self, *specs: Json, replace: bool = False) -> list[Json]:
        """Add faults to those already set, or replace them; return all that are set."""
        body = {"faults": list(specs), "replace": replace}
        answer = self._call("POST", "faults", body)
        return list(answer["faults"])

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._call("DELETE", "faults")

    def advance(self, seconds: float) -> None:
        """Turn the clock; what falls due by then is done on return."""
        self._call("POST", "clock", {"advance": seconds})

    def reset(self) -> None:
        """Forget batches, books and faults."""
        self._call("POST", "reset")

    def _call(self, method: str, path: str, body: object = None) -> Json:
        endpoint_url = f"{self.url}/_emulator/{path}"
        request = _request(method, endpoint_url, body)
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            answer: Json = json.load(response)
        return answer


def _request(method: str, url: str, body: object) -> urllib.request.Request:
    """Return a request with a JSON body; with none for None."""
    request = urllib.request.Request(url, method=method)  # noqa: S310
    if body is not None:
        body_text = json.dumps(body)
        request.data = body_text.encode()
        request.add_header("Content-Type", "application/json")
    return request


@contextmanager
def running(settings: Settings | None = None) -> Iterator[Emulator]:
    """Run an emulator in a thread of this process for as long as the block lasts."""
    started = threading.Event()
    server_thread = _ServerThread(settings or Settings(), started)
    server_thread.start()
    started.wait()
    if server_thread.failure is not None:
        raise server_thread.failure
    try:
        yield Emulator(server_thread.url)
    finally:
        server_thread.stop()


class _ServerThread(threading.Thread):
    """The thread: one event loop, one server."""

    def __init__(self, settings: Settings, started: threading.Event) -> None:
        super().__init__(name="emulator", daemon=True)
        self.settings = settings
        self.started = started
        self.url = ""
        self.failure: BaseException | None = None

    def run(self) -> None:
        asyncio.run(self._serve())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            engine = Engine(self.settings)
            try:
                async with listening(engine) as self.url:
                    self.started.set()
                    await self._stopping.wait()
            finally:
                engine.close()
        except Exception as error:
            if self.started.is_set():
                raise
            self.failure = error
            self.started.set()
