"""The emulator's own endpoints: books to read, faults to set, a clock to turn, a fresh start."""

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
    waiting = engine.account.waiting(engine.clock.now())
    return answer(await asyncio.to_thread(read_books, engine, waiting=waiting))


@controls.get("/_emulator/clock", name="_clock")
async def read_clock(request: web.Request) -> web.StreamResponse:
    """Tell the emulated time."""
    return answer(_time(request.app[ENGINE]))


@controls.post("/_emulator/clock", name="_turn")
async def turn_clock(request: web.Request) -> web.StreamResponse:
    """Turn the clock by `{"advance": seconds}`; what falls due by then is done when this returns."""
    engine = request.app[ENGINE]
    given = await _json(request)
    seconds = given.get("advance") if isinstance(given, dict) else None
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


@controls.get("/_emulator/faults", name="_read_faults")
async def read_faults(request: web.Request) -> web.StreamResponse:
    """Return the faults that are set."""
    return answer({"faults": request.app[ENGINE].faults.report()})


@controls.post("/_emulator/faults", name="_set_faults")
async def set_faults(request: web.Request) -> web.StreamResponse:
    """Set a fault, a list of them, or `{"faults": […], "replace": true}`; return all that are set."""
    faults = request.app[ENGINE].faults
    given = await _json(request)
    specs = specs_of(given)
    made = faults.add(specs)
    if isinstance(given, dict) and given.get("replace"):
        faults.all = made
    return answer({"faults": faults.report()})


@controls.delete("/_emulator/faults", name="_clear_faults")
@controls.delete("/_emulator/faults/{id:\\d+}", name="_clear_fault")
async def clear_faults(request: web.Request) -> web.StreamResponse:
    """Remove a fault, or all."""
    faults = request.app[ENGINE].faults
    given = request.match_info.get("id")
    faults.remove(None if given is None else int(given))
    return answer({"faults": faults.report()})


async def _worked_out(engine: Engine, *, due_by: float) -> None:
    for done in engine.undone(due_by=due_by):
        await asyncio.wrap_future(done)


async def _json(request: web.Request) -> Any:
    try:
        return msgspec.json.decode(await request.read() or b"{}")
    except msgspec.DecodeError as error:
        raise invalid(str(error)) from error


def _time(engine: Engine) -> dict[str, Any]:
    return {"now": timestamp(engine.clock.now()), "offset": engine.clock.offset}
