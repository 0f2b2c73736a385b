"""Result lines as they stand on the wire, decoded in blocks; what is not needed is not looked at.

The form follows the published OpenAPI description: a field that is new, missing or null breaks nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec


class Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class Spent(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    server_tool_use: Any = None


class Message(msgspec.Struct, gc=False):
    content: list[Block] = []
    model: str | None = None
    stop_reason: str | None = None
    usage: Spent | None = None


class Told(msgspec.Struct, gc=False):
    type: str = ""
    message: str = ""
    details: Any = None
    error: Told | None = None

    @property
    def code(self) -> str:
        """The `error_code` among the details, if there is one."""
        return (
            str(self.details.get("error_code") or "")
            if isinstance(self.details, dict)
            else ""
        )


class Result(msgspec.Struct, gc=False):
    type: str
    message: Message | None = None
    error: Told | None = None


class Line(msgspec.Struct, gc=False):
    """One line of a results stream."""

    custom_id: str
    result: Result


class _Name(msgspec.Struct, gc=False):
    type: str = ""


class _OddLine(msgspec.Struct, gc=False):
    custom_id: str
    result: _Name


_lines = msgspec.json.Decoder(Line)
_odd_line = msgspec.json.Decoder(_OddLine)
_UNREADABLE = (msgspec.DecodeError, UnicodeError, ValueError, RecursionError)


def decode(block: bytes) -> list[Line | None]:
    """Decode whole lines; None for one that is not a result line. Blank lines are passed over."""
    try:
        return list[Line | None](_lines.decode_lines(block))
    except _UNREADABLE:
        return [_decode_one(raw) for raw in block.split(b"\n") if raw.strip()]


def _decode_one(raw: bytes) -> Line | None:
    with suppress(*_UNREADABLE):
        return _lines.decode(raw)
    with suppress(*_UNREADABLE):
        return _lines.decode(_without_surrogates(raw))
    with suppress(*_UNREADABLE):
        odd = _odd_line.decode(raw)
        return Line(
            custom_id=odd.custom_id, result=Result(type=f"unreadable_{odd.result.type}")
        )
    return None


def _without_surrogates(raw: bytes) -> bytes:
    """Replace halves of surrogate pairs, which JSON may escape but no text can hold."""
    return json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8", "replace")
