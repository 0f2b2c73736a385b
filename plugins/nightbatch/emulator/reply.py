"""What a responder may return, and how one is loaded: `module:callable`, called with a request's params."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from nightbatch.emulator.settings import Settings
from nightbatch.emulator.wire import Json


@dataclass(frozen=True)
class Reply:
    """An answer in full: text or content blocks, and why it stopped. `output_tokens` None: estimated from the text."""

    text: str = ""
    content: list[Json] | None = None
    stop_reason: str = "end_turn"
    output_tokens: int | None = None


@dataclass(frozen=True)
class Failure:
    """An `errored` row: the inner error's type and message."""

    kind: str = "api_error"
    message: str = "Internal server error"


Answer = str | Mapping[str, Any] | list[Any] | Reply | Failure
Responder = Callable[[Json], Answer]


def load_responder(settings: Settings) -> Responder:
    """Import `module:callable`. A class is instantiated with the seed."""
    module_name, _, attribute_name = settings.responder.partition(":")
    module = importlib.import_module(module_name)
    responder: Any = getattr(module, attribute_name)
    if not callable(responder):
        raise TypeError(f"the responder {settings.responder} is not callable")
    if isinstance(responder, type):
        responder = responder(settings.seed)
    return cast("Responder", responder)
