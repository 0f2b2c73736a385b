"""Sending results: blocks of whole lines read from disk, sent in chunks; and the faults that break the stream."""

import asyncio

from aiohttp import web

from nightbatch.emulator.batches.batch import Batch
from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.batches.lines import Blocks, result_blocks
from nightbatch.emulator.faults.kinds import ENDINGS, LINES
from nightbatch.emulator.faults.rules import Fault, Struck
from nightbatch.emulator.http.call_faults import FOREVER, after, dropped
from nightbatch.emulator.http.result_faults import Lines, damaged


class _CloseDelimited(web.StreamResponse):
    """A response without a length or chunks: it ends when the connection does."""

    _length_check = False


async def send_results(
    request: web.Request, engine: Engine, batch: Batch, faults: Struck
) -> web.StreamResponse:
    """Stream a batch's result lines, changed by the faults that strike this call."""
    await after(fault for fault in faults if fault.what != "stall")
    line_file = engine.store.lines(batch.id)
    stored_blocks = result_blocks(line_file, batch)
    blocks = _damaged_blocks(stored_blocks, batch.count, faults)
    for fault in faults:
        if fault.what in ENDINGS:
            response = _broken_response(request, engine, fault)
            return await _send_broken(request, response, list(blocks), fault)
    response = _plain_response(request, engine)
    await response.prepare(request)
    for block in blocks:
        await response.write(block)
    await response.write_eof()
    return response


def _plain_response(request: web.Request, engine: Engine) -> web.StreamResponse:
    headers = {"content-type": engine.settings.results_type}
    response = web.StreamResponse(headers=headers)
    if engine.settings.gzip and _accepts_gzip(request):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _accepts_gzip(request: web.Request) -> bool:
    accepted_encodings = request.headers.get("accept-encoding", "")
    return "gzip" in accepted_encodings


def _broken_response(
    request: web.Request, engine: Engine, fault: Fault
) -> web.StreamResponse:
    if not fault.options.get("close"):
        return _plain_response(request, engine)
    headers = {"content-type": engine.settings.results_type}
    response = _CloseDelimited(headers=headers)
    response.force_close()
    return response


async def _send_broken(
    request: web.Request,
    response: web.StreamResponse,
    blocks: list[bytes],
    fault: Fault,
) -> web.StreamResponse:
    """Send the beginning, up to the share `at`, and end as the fault says."""
    body = b"".join(blocks)
    break_position = _break_position(body, fault)
    first_part = body[:break_position]
    if fault.what == "short":
        response.content_length = len(body)
    await response.prepare(request)
    await response.write(first_part)
    if fault.what in {"reset", "short"}:
        await _flushed(request)
        raise dropped(fault)
    if fault.what == "stall":
        stall_seconds = float(fault.options.get("seconds", FOREVER))
        await asyncio.sleep(stall_seconds)
        await response.write(body[len(first_part) :])
    await response.write_eof()
    return response


def _break_position(body: bytes, fault: Fault) -> int:
    """Return how many bytes are sent before the break: up to a line's end for a clean cut, else inside a line."""
    sent_share = float(fault.options.get("at", 0.5))
    body_bytes = len(body)
    sent_bytes = int(body_bytes * sent_share)
    position = min(sent_bytes, body_bytes - 1)
    line_end = body.rfind(b"\n", 0, position) + 1
    if fault.what == "cut_clean":
        return line_end
    return max(position, line_end + 1)


def _damaged_blocks(blocks: Blocks, count: int, faults: Struck) -> Blocks:
    line_faults = [fault for fault in faults if fault.what in LINES]
    if not line_faults:
        return blocks
    lines = _lines(blocks)
    for fault in line_faults:
        lines = damaged(lines, count, fault)
    return lines


def _lines(blocks: Blocks) -> Lines:
    for block in blocks:
        yield from block.splitlines(keepends=True)


async def _flushed(request: web.Request) -> None:
    """Wait until what was written has left, so that the client gets it before the end."""
    transport = request.transport
    for _ in range(200):
        if transport is None or not transport.get_write_buffer_size():
            return
        await asyncio.sleep(0.01)
