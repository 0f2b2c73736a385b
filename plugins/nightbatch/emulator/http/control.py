"""The emulator's control endpoints: read the books, set faults, turn the clock, reset."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.books.books import read_books
from nightbatch.emulator.clock import timestamp
from nightbatch.emulator.errors import invalid
from nightbatch.emulator.faults.rules import specs_of
from nightbatch.emulator.http.endpoints import ENGINE, answer
from nightbatch.emulator.wire import Json

controls = web.RouteTableDef()


@controls.get("/_emulator/health", name="_health")
async def health(request: web.Request) -> web.StreamResponse:
    """Report that the emulator runs, and its time."""
    return answer({"status": "ok", **_time(request.app[ENGINE])})


@controls.get("/_emulator/books", name="_books")
async def books(request: web.Request) -> web.StreamResponse:
    """Return the books, once all pending answers are worked out."""
    engine = request.app[ENGINE]
    await _worked_out(engine, due_by=float("inf"))
    now = engine.clock.now()
    waiting = engine.account.waiting(now)
    books_json = await asyncio.to_thread(read_books, engine, waiting=waiting)
    return answer(books_json)


@controls.get("/_emulator/clock", name="_clock")
async def read_clock(request: web.Request) -> web.StreamResponse:
    """Return the emulated time."""
    return answer(_time(request.app[ENGINE]))


@controls.post("/_emulator/clock", name="_turn")
async def turn_clock(request: web.Request) -> web.StreamResponse:
    """Turn the clock by `{"advance": seconds}`; what falls due by then is done when this returns."""
    engine = request.app[ENGINE]
    body = await _json(request)
    seconds = _seconds(body)
    engine.advance(seconds)
    now = engine.clock.now()
    await _worked_out(engine, due_by=now)
    return answer(_time(engine))


def _seconds(body: object) -> float:
    """Return by how much a body turns the clock, or raise the 400 of one that does not say it."""
    seconds = body.get("advance") if isinstance(body, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise invalid("advance: Input should be a number of seconds")
    return seconds


@controls.post("/_emulator/reset", name="_reset")
async def reset(request: web.Request) -> web.StreamResponse:
    """Forget everything."""
    engine = request.app[ENGINE]
    await _worked_out(engine, due_by=float("inf"))
    engine.reset()
    return answer(_time(engine))


@controls.get("/_emulator/faults", name="_read_faults")
async def read_faults(request: web.Request) -> web.StreamResponse:
    """Return the faults that are set."""
    return answer({"faults": request.app[ENGINE].faults.report()})


@controls.post("/_emulator/faults", name="_set_faults")
async def set_faults(request: web.Request) -> web.StreamResponse:
    """Set a fault, a list of them, or `{"faults": […], "replace": true}`; return all that are set."""
    faults = request.app[ENGINE].faults
    body = await _json(request)
    specs = specs_of(body)
    new_faults = faults.add(specs)
    replace_all = isinstance(body, dict) and body.get("replace")
    if replace_all:
        faults.all = new_faults
    return answer({"faults": faults.report()})


@controls.delete("/_emulator/faults", name="_clear_faults")
@controls.delete("/_emulator/faults/{id:\\d+}", name="_clear_fault")
async def clear_faults(request: web.Request) -> web.StreamResponse:
    """Remove a fault, or all."""
    faults = request.app[ENGINE].faults
    id_text = request.match_info.get("id")
    fault_id = int(id_text) if id_text is not None else None
    faults.remove(fault_id)
    return answer({"faults": faults.report()})


async def _worked_out(engine: Engine, *, due_by: float) -> None:
    for unfinished_work in engine.unfinished(due_by=due_by):
        await asyncio.wrap_future(unfinished_work)


async def _json(request: web.Request) -> Any:
    try:
        body = await request.read()
        return msgspec.json.decode(body or b"{}")
    except msgspec.DecodeError as error:
        raise invalid(str(error)) from error


def _time(engine: Engine) -> Json:
    return {"now": timestamp(engine.clock.now()), "offset": engine.clock.offset}
