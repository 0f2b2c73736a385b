"""Result lines as the API sends them, decoded in blocks; what is not needed is not read.

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


class UsageBody(msgspec.Struct, gc=False):
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
    usage: UsageBody | None = None


class ErrorBody(msgspec.Struct, gc=False):
    type: str = ""
    message: str = ""
    details: Any = None
    error: ErrorBody | None = None

    @property
    def code(self) -> str:
        """The `error_code` among the details, if there is one."""
        if not isinstance(self.details, dict):
            return ""
        return str(self.details.get("error_code") or "")


class ResultBody(msgspec.Struct, gc=False):
    type: str
    message: Message | None = None
    error: ErrorBody | None = None


class ResultLine(msgspec.Struct, gc=False):
    """One line of a results stream."""

    custom_id: str
    result: ResultBody


class _Name(msgspec.Struct, gc=False):
    type: str = ""


class _OddLine(msgspec.Struct, gc=False):
    custom_id: str
    result: _Name


_lines = msgspec.json.Decoder(ResultLine)
_odd_line = msgspec.json.Decoder(_OddLine)
_UNREADABLE = (msgspec.DecodeError, UnicodeError, ValueError, RecursionError)


def decode(block: bytes) -> list[ResultLine | None]:
    """Decode whole lines; None for one that is not a result line. Blank lines are skipped."""
    try:
        return list[ResultLine | None](_lines.decode_lines(block))
    except _UNREADABLE:
        return [_decode_one(raw) for raw in block.split(b"\n") if raw.strip()]


def _decode_one(raw: bytes) -> ResultLine | None:
    with suppress(*_UNREADABLE):
        return _lines.decode(raw)
    with suppress(*_UNREADABLE):
        valid_text = _without_surrogates(raw)
        return _lines.decode(valid_text)
    with suppress(*_UNREADABLE):
        return _unreadable(raw)
    return None


def _unreadable(raw: bytes) -> ResultLine:
    """Read only whose result a line is, and of which type."""
    odd_line = _odd_line.decode(raw)
    result_type = odd_line.result.type
    unreadable_result = ResultBody(f"unreadable_{result_type}")
    return ResultLine(odd_line.custom_id, unreadable_result)


def _without_surrogates(raw: bytes) -> bytes:
    """Replace halves of surrogate pairs, which JSON may escape but no text can hold."""
    line_text = json.dumps(json.loads(raw), ensure_ascii=False)
    return line_text.encode("utf-8", "replace")
