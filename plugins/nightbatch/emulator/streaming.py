"""Sending results: blocks of whole lines, straight from disk, in chunks."""

from aiohttp import web

from nightbatch.emulator.batch import Batch
from nightbatch.emulator.engine import Engine
from nightbatch.emulator.lines import result_blocks


async def send_results(request: web.Request, engine: Engine, batch: Batch) -> web.StreamResponse:
    """Stream a batch's result lines."""
    response = web.StreamResponse(headers={"content-type": "application/x-jsonl"})
    if engine.settings.gzip and "gzip" in request.headers.get("accept-encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    await response.prepare(request)
    for block in result_blocks(engine.store.lines(batch.id), batch):
        await response.write(block)
    await response.write_eof()
    return response
