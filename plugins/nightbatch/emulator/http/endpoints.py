"""The seven endpoints: HTTP in, one call into the engine, HTTP out. Errors are raised; `wire` writes them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from nightbatch.emulator.answers.models import find_model
from nightbatch.emulator.answers.prompt import read_prompt
from nightbatch.emulator.batches.account import Page
from nightbatch.emulator.batches.batch import Batch, View
from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.http.access import betas_of
from nightbatch.emulator.http.streaming import send_results
from nightbatch.emulator.http.uploads import Upload

ENGINE = web.AppKey("engine", Engine)
UPLOAD = web.RequestKey("upload", Upload)
STRUCK = web.RequestKey("struck", tuple[Fault, ...])
_encoder = msgspec.json.Encoder()

routes = web.RouteTableDef()


@routes.post("/v1/messages/batches", name="create")
async def create(request: web.Request) -> web.StreamResponse:
    """Create a batch of the body that was received."""
    engine = request.app[ENGINE]
    upload = request[UPLOAD]
    batch = engine.accept(
        upload.count, upload.path, betas_of(request.headers, request.query)
    )
    return answer(_wire(request, batch))


@routes.get("/v1/messages/batches", name="list")
async def list_batches(request: web.Request) -> web.StreamResponse:
    """Return a page of batches, newest first."""
    engine = request.app[ENGINE]
    query = request.query
    page = Page(
        _limit(query), query.get("after_id") or None, query.get("before_id") or None
    )
    batches, more = engine.account.list(page)
    data = [_wire(request, batch) for batch in batches]
    ends = {
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
    return answer({"data": data, "has_more": more, **ends})


@routes.get("/v1/messages/batches/{id}", name="retrieve")
async def retrieve(request: web.Request) -> web.StreamResponse:
    """Return one batch, with a hint how soon to ask again while it runs."""
    engine = request.app[ENGINE]
    batch = engine.account.find(request.match_info["id"])
    wire = _wire(request, batch)
    running = wire["processing_status"] != "ended"
    return answer(
        wire,
        {"retry-after": str(engine.settings.pace.retry_after)} if running else None,
    )


@routes.post("/v1/messages/batches/{id}/cancel", name="cancel")
async def cancel(request: web.Request) -> web.StreamResponse:
    """Begin to cancel a batch."""
    engine = request.app[ENGINE]
    return answer(_wire(request, engine.cancel(request.match_info["id"])))


@routes.delete("/v1/messages/batches/{id}", name="delete")
async def delete(request: web.Request) -> web.StreamResponse:
    """Delete an ended batch."""
    batch = request.app[ENGINE].delete(request.match_info["id"])
    return answer({"id": batch.id, "type": "message_batch_deleted"})


@routes.get("/v1/messages/batches/{id}/results", name="results")
async def results(request: web.Request) -> web.StreamResponse:
    """Stream the results of an ended batch, one JSON object a line."""
    engine = request.app[ENGINE]
    batch = engine.account.results(request.match_info["id"], engine.clock.now())
    return await send_results(request, engine, batch, request[STRUCK])


@routes.post("/v1/messages/count_tokens", name="count_tokens")
async def count_tokens(request: web.Request) -> web.StreamResponse:
    """Estimate the input tokens of one request."""
    try:
        params = msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error
    if find_model(params.get("model")) is None:
        raise ApiError("not_found_error", f"model: {params.get('model')}")
    if not params.get("messages"):
        raise invalid("messages: Field required")
    return answer({"input_tokens": read_prompt(params).tokens})


def answer(
    body: object, headers: Mapping[str, str] | None = None, status: int = 200
) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        body=_encoder.encode(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _wire(request: web.Request, batch: Batch) -> dict[str, Any]:
    engine = request.app[ENGINE]
    settings = engine.settings
    view = View(
        str(request.url.origin()), settings.timestamps, settings.limits.results_for
    )
    return view.wire(batch, engine.clock.now())


def _limit(query: Mapping[str, str]) -> int:
    given = query.get("limit", "20")
    if not given.lstrip("-").isdigit():
        raise invalid(
            "limit: Input should be a valid integer, unable to parse string as an integer"
        )
    if int(given) < 1:
        raise invalid("limit: Input should be greater than or equal to 1")
    if int(given) > 1_000:
        raise invalid("limit: Input should be less than or equal to 1000")
    return int(given)
