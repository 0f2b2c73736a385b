"""Create bodies on their way in: written to disk as they come, then counted and checked beside the loop."""

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
    """Take in a body. Raise the 413 once it is too long, the 400 for one that is no list of requests."""
    most = engine.settings.limits.max_bytes
    if (request.content_length or 0) > most:
        raise too_large()
    path = engine.store.incoming()
    try:
        size = await _write(request, path, most)
        return Upload(path, await asyncio.to_thread(engine.count, path), size)
    except BaseException:
        discard(path)
        raise


def discard(path: Path) -> None:
    """Remove a body that nobody took."""
    with suppress(FileNotFoundError):
        path.unlink()


async def _write(request: web.Request, path: Path, most: int) -> int:
    size = 0
    with path.open("wb", buffering=1 << 20) as body:
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > most:
                raise too_large()
            body.write(chunk)
    return size
