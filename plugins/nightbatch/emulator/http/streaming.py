"""Sending results: blocks of whole lines straight from disk, in chunks; and all the ways in which that can go wrong."""

import asyncio
from collections.abc import Iterator

from aiohttp import web

from nightbatch.emulator.batches.batch import Batch
from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.batches.lines import result_blocks
from nightbatch.emulator.faults.kinds import ENDINGS, LINES
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.http.call_faults import FOREVER, after, dropped
from nightbatch.emulator.http.result_faults import damaged


class _CloseDelimited(web.StreamResponse):
    """A response that tells neither its length nor its chunks: it ends where the connection does."""

    _length_check = False


async def send_results(
    request: web.Request, engine: Engine, batch: Batch, faults: tuple[Fault, ...]
) -> web.StreamResponse:
    """Stream a batch's result lines, with what the faults do to them."""
    await after(fault for fault in faults if fault.what != "stall")
    ending = next((fault for fault in faults if fault.what in ENDINGS), None)
    blocks = _damaged_blocks(
        result_blocks(engine.store.lines(batch.id), batch), batch.count, faults
    )
    headers = {"content-type": engine.settings.results_type}
    response = web.StreamResponse(headers=headers)
    if engine.settings.gzip and "gzip" in request.headers.get("accept-encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    if ending is not None and ending.options.get("close"):
        response = _CloseDelimited(headers=headers)
        response.force_close()
    if ending is not None:
        return await _send_badly(request, response, list(blocks), ending)
    await response.prepare(request)
    for block in blocks:
        await response.write(block)
    await response.write_eof()
    return response


async def _send_badly(
    request: web.Request,
    response: web.StreamResponse,
    blocks: list[bytes],
    fault: Fault,
) -> web.StreamResponse:
    """Send the beginning, up to the share `at`, and end as the fault says."""
    body = b"".join(blocks)
    first = body[: _place(body, fault)]
    if fault.what == "short":
        response.content_length = len(body)
    await response.prepare(request)
    await response.write(first)
    if fault.what in {"reset", "short"}:
        await _flushed(request)
        raise dropped(fault)
    if fault.what == "stall":
        await asyncio.sleep(float(fault.options.get("seconds", FOREVER)))
        await response.write(body[len(first) :])
    await response.write_eof()
    return response


def _place(body: bytes, fault: Fault) -> int:
    """Return how many bytes are sent before it goes wrong: up to a line's end for a clean cut, else inside a line."""
    place = min(int(len(body) * float(fault.options.get("at", 0.5))), len(body) - 1)
    line_end = body.rfind(b"\n", 0, place) + 1
    if fault.what == "cut_clean":
        return line_end
    return place if place > line_end else line_end + 1


def _damaged_blocks(
    blocks: Iterator[bytes], count: int, faults: tuple[Fault, ...]
) -> Iterator[bytes]:
    wanted = [fault for fault in faults if fault.what in LINES]
    if not wanted:
        return blocks
    lines: Iterator[bytes] = (
        line for block in blocks for line in block.splitlines(keepends=True)
    )
    for fault in wanted:
        lines = damaged(lines, count, fault)
    return lines


async def _flushed(request: web.Request) -> None:
    """Wait until what was written has left, so that the client gets it before the end."""
    transport = request.transport
    for _ in range(200):
        if transport is None or not transport.get_write_buffer_size():
            return
        await asyncio.sleep(0.01)
