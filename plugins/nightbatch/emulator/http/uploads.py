"""Bodies of create calls: written to disk as they arrive, then counted and checked outside the event loop."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.batches.intake import too_large


@dataclass(frozen=True)
class Upload:
    """A body on disk that holds `count` requests, all with custom_ids that the API takes."""

    path: Path
    count: int
    size: int


async def receive(request: web.Request, engine: Engine) -> Upload:
    """Receive a body. Raise the 413 once it is too long, the 400 for one that is not a list of requests."""
    max_bytes = engine.settings.limits.max_bytes
    content_length = request.content_length or 0
    if content_length > max_bytes:
        raise too_large()
    path = engine.store.incoming()
    try:
        body_bytes = await _write(request, path, max_bytes)
        request_count = await asyncio.to_thread(engine.count, path)
        return Upload(path, request_count, body_bytes)
    except BaseException:
        discard(path)
        raise


def discard(path: Path) -> None:
    """Remove a body that did not become a batch."""
    with suppress(FileNotFoundError):
        path.unlink()


async def _write(request: web.Request, path: Path, max_bytes: int) -> int:
    body_bytes = 0
    with path.open("wb", buffering=1 << 20) as body_file:
        async for chunk in request.content.iter_any():
            body_bytes += len(chunk)
            if body_bytes > max_bytes:
                raise too_large()
            body_file.write(chunk)
    return body_bytes
