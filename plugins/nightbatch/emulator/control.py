"""The emulator's own endpoints: books to read, faults to set, a clock to turn, a fresh start."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from nightbatch.emulator.books import read_books
from nightbatch.emulator.clock import timestamp
from nightbatch.emulator.endpoints import ENGINE, answer
from nightbatch.emulator.engine import Engine
from nightbatch.emulator.errors import invalid

controls = web.RouteTableDef()


@controls.get("/_emulator/health", name="_health")
async def health(request: web.Request) -> web.StreamResponse:
    """Say that it is there, and what time it takes it to be."""
    return answer({"status": "ok", **_time(request.app[ENGINE])})


@controls.get("/_emulator/books", name="_books")
async def books(request: web.Request) -> web.StreamResponse:
    """Return the books, once every answer under way is worked out."""
    engine = request.app[ENGINE]
    await _worked_out(engine, due_by=float("inf"))
    return answer(await asyncio.to_thread(read_books, engine))


@controls.get("/_emulator/clock", name="_clock")
async def read_clock(request: web.Request) -> web.StreamResponse:
    """Tell the emulated time."""
    return answer(_time(request.app[ENGINE]))


@controls.post("/_emulator/clock", name="_turn")
async def turn_clock(request: web.Request) -> web.StreamResponse:
    """Turn the clock by `{"advance": seconds}`; what falls due by then is done when this returns."""
    engine = request.app[ENGINE]
    seconds = (await _json(request)).get("advance")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise invalid("advance: Input should be a number of seconds")
    engine.advance(seconds)
    await _worked_out(engine, due_by=engine.clock.now())
    return answer(_time(engine))


@controls.post("/_emulator/reset", name="_reset")
async def reset(request: web.Request) -> web.StreamResponse:
    """Forget everything."""
    engine = request.app[ENGINE]
    await _worked_out(engine, due_by=float("inf"))
    engine.reset()
    return answer(_time(engine))


async def _worked_out(engine: Engine, *, due_by: float) -> None:
    for done in engine.undone(due_by=due_by):
        await asyncio.wrap_future(done)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise invalid(str(error)) from error


def _time(engine: Engine) -> dict[str, Any]:
    return {"now": timestamp(engine.clock.now()), "offset": engine.clock.offset}
