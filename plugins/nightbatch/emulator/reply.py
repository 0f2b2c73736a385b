"""What a responder may return, and how one is loaded: `module:callable`, called with a request's params."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nightbatch.emulator.settings import Settings


@dataclass(frozen=True)
class Reply:
    """An answer in full: text or content blocks, and why it stopped. `output_tokens` None: estimated from the text."""

    text: str = ""
    content: list[dict[str, Any]] | None = None
    stop_reason: str = "end_turn"
    output_tokens: int | None = None


@dataclass(frozen=True)
class Failure:
    """An `errored` row: the inner error's type and message."""

    kind: str = "api_error"
    message: str = "Internal server error"


Answer = str | Mapping[str, Any] | list[Any] | Reply | Failure
Responder = Callable[[dict[str, Any]], Answer]


def load_responder(settings: Settings) -> Responder:
    """Import `module:callable`. A class is made an instance first, with the seed."""
    module, _, name = settings.responder.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not callable(found):
        raise TypeError(f"the responder {settings.responder} is not callable")
    responder: Responder = found(settings.seed) if isinstance(found, type) else found
    return responder
