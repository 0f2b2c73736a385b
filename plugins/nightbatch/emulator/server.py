"""The server: an aiohttp application over one engine, listening until a signal stops it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.http.control import controls
from nightbatch.emulator.http.endpoints import ENGINE, routes
from nightbatch.emulator.http.middleware import add_headers, around
from nightbatch.emulator.settings import Settings


def application(engine: Engine) -> web.Application:
    """Return the application of one engine."""
    app = web.Application(middlewares=[around], client_max_size=0)
    app[ENGINE] = engine
    app.add_routes(routes)
    app.add_routes(controls)
    app.on_response_prepare.append(add_headers)
    return app


@asynccontextmanager
async def listening(engine: Engine) -> AsyncIterator[str]:
    """Listen on the engine's host and port; yield the base URL."""
    runner = web.AppRunner(
        application(engine), access_log=None, shutdown_timeout=0.5, keepalive_timeout=75
    )
    await runner.setup()
    site = web.TCPSite(
        runner, engine.settings.host, engine.settings.port, reuse_address=True
    )
    try:
        await site.start()
        host, port = runner.addresses[0][:2]
        url_host = f"[{host}]" if ":" in host else host
        yield f"http://{url_host}:{port}"
    finally:
        await runner.cleanup()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; print the base URL to standard output when ready."""
    # The worker thread computes without pause; a poll should not have to wait for it.
    sys.setswitchinterval(0.001)
    engine = Engine(settings)
    stop = asyncio.Event()
    event_loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        event_loop.add_signal_handler(signal_number, stop.set)
    try:
        async with listening(engine) as url:
            print(url, flush=True)  # noqa: T201
            await stop.wait()
    finally:
        engine.close()
