"""What surrounds every call: access, rate, request-id, counting, and errors written in the API's form."""

import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from nightbatch.emulator.access import check_access
from nightbatch.emulator.endpoints import ENGINE, answer
from nightbatch.emulator.engine import Engine
from nightbatch.emulator.errors import ApiError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = web.RequestKey("headers", dict[str, str])


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a call in, write its errors, count it."""
    engine = request.app[ENGINE]
    endpoint = request.match_info.route.name
    request[HEADERS] = {"request-id": f"req_01{secrets.token_hex(11)}"}
    if endpoint is None or endpoint.startswith("_"):
        return await _unknown(request, handler)
    try:
        check_access(request.headers, engine.settings.api_keys)
        request[HEADERS] |= _rate(engine, endpoint)
        response = await handler(request)
    except ApiError as error:
        response = told(request, error)
    engine.calls.add(endpoint, str(response.status))
    return response


def told(request: web.Request, error: ApiError) -> web.Response:
    """Return an error as a response."""
    return answer(error.body(request[HEADERS]["request-id"]), error.headers, error.status)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers that every response bears onto it, before it is sent."""
    for name, value in request.get(HEADERS, {}).items():
        response.headers.setdefault(name, value)


def _rate(engine: Engine, endpoint: str) -> dict[str, str]:
    bucket = engine.tokens_rate if endpoint == "count_tokens" else engine.batches_rate
    return bucket.take(engine.clock.now())


async def _unknown(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Call what is no endpoint of the API: the emulator's own, or nothing."""
    try:
        return await handler(request)
    except ApiError as error:
        return told(request, error)
    except web.HTTPMethodNotAllowed:
        return told(request, ApiError("invalid_request_error", "Method Not Allowed", status=405))
    except web.HTTPNotFound:
        return told(request, ApiError("not_found_error", "Not found"))
