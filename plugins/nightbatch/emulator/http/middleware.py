"""Around every call: access, rate, request-id, counting, and errors written in the API's form."""

import asyncio
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.errors import ApiError
from nightbatch.emulator.http.access import check_access, check_json, check_origin
from nightbatch.emulator.http.call_faults import DroppedError, after, before
from nightbatch.emulator.http.endpoints import ENGINE, STRUCK, UPLOAD, answer
from nightbatch.emulator.http.uploads import discard, receive
from nightbatch.emulator.settings import Settings
from nightbatch.emulator.wire import Json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = web.RequestKey("headers", dict[str, str])


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check who calls, call the handler, write its errors, count the call."""
    engine = request.app[ENGINE]
    endpoint = request.match_info.route.name
    request[HEADERS] = {"request-id": f"req_01{secrets.token_hex(11)}"}
    try:
        _check_caller(request, engine.settings, endpoint)
    except ApiError as error:
        return error_response(request, error)
    if endpoint is None or not _is_api(endpoint):
        return await _call_control(request, handler)
    try:
        check_access(request.headers, engine.settings.api_keys)
        request[HEADERS] |= _rate(engine, endpoint)
        response = await _call_with_faults(request, handler, endpoint)
    except ApiError as error:
        response = error_response(request, error)
    except DroppedError as dropped:
        engine.called(endpoint, "dropped")
        return _drop(request, dropped)
    engine.called(endpoint, str(response.status))
    return response


def _check_caller(
    request: web.Request, settings: Settings, endpoint: str | None
) -> None:
    """Raise the 403 of a call that a foreign page could have caused."""
    server_port = 0
    if request.transport:
        server_port = request.transport.get_extra_info("sockname")[1]
    check_origin(request.headers, server_port, settings.names, settings.allowed_hosts)
    if request.method == "POST" and not _is_api(endpoint):
        check_json(request.headers, has_body=request.body_exists)


def _is_api(endpoint: str | None) -> bool:
    """Tell whether an endpoint is one of the API's: neither unknown nor a control endpoint."""
    return endpoint is not None and not endpoint.startswith("_")


async def _call_with_faults(
    request: web.Request, handler: Handler, endpoint: str
) -> web.StreamResponse:
    """Receive the upload of a create, then call the handler with the faults that strike this call."""
    if endpoint != "create":
        return await _handle(request, handler, endpoint, {})
    upload = await receive(request, request.app[ENGINE])
    request[UPLOAD] = upload
    try:
        return await _handle(request, handler, endpoint, {"requests": upload.count})
    finally:
        discard(upload.path)


async def _handle(
    request: web.Request, handler: Handler, endpoint: str, facts: Json
) -> web.StreamResponse:
    engine = request.app[ENGINE]
    batch_id = request.match_info.get("id", "")
    faults = engine.faults.strike(endpoint, {"batch": batch_id, **facts})
    request[STRUCK] = tuple(faults)
    await before(faults)
    if request.transport is None or request.transport.is_closing():
        raise DroppedError("the client has gone")
    response = await handler(request)
    if not response.prepared:
        await after(faults)
    return response


def _drop(request: web.Request, dropped: DroppedError) -> web.Response:
    """Close the connection without an answer."""
    transport = request.transport
    if transport is not None:
        if dropped.reset:
            _reset_on_close(transport)
        transport.abort()
    return web.Response()


def _reset_on_close(transport: asyncio.Transport) -> None:
    """Make the close of a connection a TCP reset."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        no_linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)


def error_response(request: web.Request, error: ApiError) -> web.Response:
    """Return an error as a response."""
    if error.headers.get("content-type") == "text/html":
        return web.Response(
            text=error.message, headers=error.headers, status=error.status
        )
    request_id = request[HEADERS]["request-id"]
    return answer(error.body(request_id), error.headers, error.status)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every response has, before it is sent."""
    for name, value in request.get(HEADERS, {}).items():
        response.headers.setdefault(name, value)


def _rate(engine: Engine, endpoint: str) -> dict[str, str]:
    bucket = engine.tokens_rate if endpoint == "count_tokens" else engine.batches_rate
    return bucket.take(engine.clock.now())


async def _call_control(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Call a control endpoint, or answer a path that does not exist."""
    try:
        return await handler(request)
    except ApiError as error:
        return error_response(request, error)
    except web.HTTPMethodNotAllowed:
        not_allowed = ApiError(
            "invalid_request_error", "Method Not Allowed", status=405
        )
        return error_response(request, not_allowed)
    except web.HTTPNotFound:
        return error_response(request, ApiError("not_found_error", "Not found"))
