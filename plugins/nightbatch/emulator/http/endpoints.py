"""The seven endpoints: HTTP in, one call into the engine, HTTP out. Errors are raised; `middleware` writes them."""

from collections.abc import Mapping

import msgspec
from aiohttp import web

from nightbatch.emulator.answers.models import find_model
from nightbatch.emulator.answers.prompt import read_prompt
from nightbatch.emulator.batches.account import Page
from nightbatch.emulator.batches.batch import Batch, BatchView
from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.faults.rules import Struck
from nightbatch.emulator.http.access import betas_of
from nightbatch.emulator.http.streaming import send_results
from nightbatch.emulator.http.uploads import Upload
from nightbatch.emulator.wire import Headers, Json

ENGINE = web.AppKey("engine", Engine)
UPLOAD = web.RequestKey("upload", Upload)
STRUCK = web.RequestKey("struck", Struck)
_encoder = msgspec.json.Encoder()
_body_decoder = msgspec.json.Decoder(Json)

routes = web.RouteTableDef()


@routes.post("/v1/messages/batches", name="create")
async def create(request: web.Request) -> web.StreamResponse:
    """Create a batch of the body that was received."""
    engine = request.app[ENGINE]
    upload = request[UPLOAD]
    betas = betas_of(request.headers, request.query)
    batch = engine.accept(upload.count, upload.path, betas)
    batch_json = _wire(request, batch)
    return answer(batch_json)


@routes.get("/v1/messages/batches", name="list")
async def list_batches(request: web.Request) -> web.StreamResponse:
    """Return a page of batches, newest first."""
    engine = request.app[ENGINE]
    query = request.query
    page = Page(
        limit=_limit(query),
        after_id=query.get("after_id") or None,
        before_id=query.get("before_id") or None,
    )
    batches, has_more = engine.account.list(page)
    first_id = batches[0].id if batches else None
    last_id = batches[-1].id if batches else None
    body = {
        "data": [_wire(request, batch) for batch in batches],
        "has_more": has_more,
        "first_id": first_id,
        "last_id": last_id,
    }
    return answer(body)


@routes.get("/v1/messages/batches/{id}", name="retrieve")
async def retrieve(request: web.Request) -> web.StreamResponse:
    """Return one batch; while it runs, with a hint when to poll next."""
    engine = request.app[ENGINE]
    batch_id = request.match_info["id"]
    batch = engine.account.find(batch_id)
    batch_json = _wire(request, batch)
    if batch_json["processing_status"] == "ended":
        return answer(batch_json)
    retry_after = str(engine.settings.pace.retry_after)
    return answer(batch_json, {"retry-after": retry_after})


@routes.post("/v1/messages/batches/{id}/cancel", name="cancel")
async def cancel(request: web.Request) -> web.StreamResponse:
    """Begin to cancel a batch."""
    batch_id = request.match_info["id"]
    batch = request.app[ENGINE].cancel(batch_id)
    return answer(_wire(request, batch))


@routes.delete("/v1/messages/batches/{id}", name="delete")
async def delete(request: web.Request) -> web.StreamResponse:
    """Delete an ended batch."""
    batch_id = request.match_info["id"]
    batch = request.app[ENGINE].delete(batch_id)
    return answer({"id": batch.id, "type": "message_batch_deleted"})


@routes.get("/v1/messages/batches/{id}/results", name="results")
async def results(request: web.Request) -> web.StreamResponse:
    """Stream the results of an ended batch, one JSON object a line."""
    engine = request.app[ENGINE]
    batch_id = request.match_info["id"]
    batch = engine.account.results(batch_id, engine.clock.now())
    return await send_results(request, engine, batch, request[STRUCK])


@routes.post("/v1/messages/count_tokens", name="count_tokens")
async def count_tokens(request: web.Request) -> web.StreamResponse:
    """Estimate the input tokens of one request."""
    params = await _read_params(request)
    model_name = params.get("model")
    if find_model(model_name) is None:
        raise ApiError("not_found_error", f"model: {model_name}")
    if not params.get("messages"):
        raise invalid("messages: Field required")
    prompt = read_prompt(params)
    return answer({"input_tokens": prompt.tokens})


async def _read_params(request: web.Request) -> Json:
    body = await request.read()
    try:
        return _body_decoder.decode(body)
    except msgspec.DecodeError as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error


def answer(
    body: object, headers: Headers | None = None, status: int = 200
) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        body=_encoder.encode(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _wire(request: web.Request, batch: Batch) -> Json:
    engine = request.app[ENGINE]
    settings = engine.settings
    view = BatchView(
        base_url=str(request.url.origin()),
        style=settings.timestamps,
        results_for=settings.limits.results_for,
    )
    return view.wire(batch, engine.clock.now())


def _limit(query: Mapping[str, str]) -> int:
    limit_text = query.get("limit", "20")
    if not limit_text.lstrip("-").isdigit():
        raise invalid(
            "limit: Input should be a valid integer, unable to parse string as an integer"
        )
    limit = int(limit_text)
    if limit < 1:
        raise invalid("limit: Input should be greater than or equal to 1")
    if limit > 1_000:
        raise invalid("limit: Input should be less than or equal to 1000")
    return limit
