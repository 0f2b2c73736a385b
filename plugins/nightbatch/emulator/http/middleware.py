"""What surrounds every call: access, rate, request-id, counting, and errors written in the API's form."""

import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.errors import ApiError
from nightbatch.emulator.http.access import check_access, check_json, check_origin
from nightbatch.emulator.http.call_faults import DroppedError, after, before
from nightbatch.emulator.http.endpoints import ENGINE, STRUCK, UPLOAD, answer
from nightbatch.emulator.http.uploads import Upload, discard, receive
from nightbatch.emulator.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = web.RequestKey("headers", dict[str, str])


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a call in, write its errors, count it."""
    engine = request.app[ENGINE]
    endpoint = request.match_info.route.name
    request[HEADERS] = {"request-id": f"req_01{secrets.token_hex(11)}"}
    try:
        _check_caller(request, engine.settings, endpoint)
    except ApiError as error:
        return told(request, error)
    if endpoint is None or endpoint.startswith("_"):
        return await _unknown(request, handler)
    try:
        check_access(request.headers, engine.settings.api_keys)
        request[HEADERS] |= _rate(engine, endpoint)
        response = await _disturbed(request, handler, endpoint)
    except ApiError as error:
        response = told(request, error)
    except DroppedError as dropped:
        engine.called(endpoint, "dropped")
        return _drop(request, dropped)
    engine.called(endpoint, str(response.status))
    return response


def _check_caller(
    request: web.Request, settings: Settings, endpoint: str | None
) -> None:
    """Raise the 403 of a call that a foreign page could have caused."""
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    check_origin(request.headers, port, settings.names, settings.allowed_hosts)
    if request.method == "POST" and (endpoint is None or endpoint.startswith("_")):
        check_json(request.headers, has_body=request.body_exists)


async def _disturbed(
    request: web.Request, handler: Handler, endpoint: str
) -> web.StreamResponse:
    """Call a handler, and let the faults that strike have their way with it."""
    engine = request.app[ENGINE]
    upload = await receive(request, engine) if endpoint == "create" else None
    try:
        struck = engine.faults.strike(endpoint, _facts(request, upload))
        request[STRUCK] = tuple(struck)
        await before(struck)
        if request.transport is None or request.transport.is_closing():
            raise DroppedError("the client has gone")
        if upload is not None:
            request[UPLOAD] = upload
        response = await handler(request)
        if not response.prepared:
            await after(struck)
        return response
    finally:
        if upload is not None:
            discard(upload.path)


def _facts(request: web.Request, upload: Upload | None) -> dict[str, Any]:
    return {"batch": request.match_info.get("id", "")} | (
        {"requests": upload.count} if upload else {}
    )


def _drop(request: web.Request, dropped: DroppedError) -> web.Response:
    """Close the connection without an answer."""
    transport = request.transport
    if transport is not None:
        if (
            dropped.reset
            and (connection := transport.get_extra_info("socket")) is not None
        ):
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        transport.abort()
    return web.Response()


def told(request: web.Request, error: ApiError) -> web.Response:
    """Return an error as a response."""
    if error.headers.get("content-type") == "text/html":
        return web.Response(
            text=error.message, headers=error.headers, status=error.status
        )
    return answer(
        error.body(request[HEADERS]["request-id"]), error.headers, error.status
    )


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
        return told(
            request, ApiError("invalid_request_error", "Method Not Allowed", status=405)
        )
    except web.HTTPNotFound:
        return told(request, ApiError("not_found_error", "Not found"))
