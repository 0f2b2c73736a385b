"""A request named by what it says: the hash of its params without cache_control, key order and white space apart."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(order="deterministic")


def frame_digest(frame: Mapping[str, Any]) -> bytes:
    """Return what names everything about a request but its messages."""
    plain = {
        key: _bare(value) if key in {"system", "tools"} else value
        for key, value in frame.items()
    }
    plain.pop("cache_control", None)
    return blake2b(_encoder.encode(plain), digest_size=16).digest()


def content_of(frame: bytes, messages: Any) -> int:
    """Return 64 bits that name a request's content: a million of them collide once in forty million runs."""
    if isinstance(messages, list):
        messages = [_bare_message(message) for message in messages]
    return int.from_bytes(
        blake2b(frame + _encoder.encode(messages), digest_size=8).digest()
    )


def _bare_message(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    return (
        {**message, "content": _bare(content)} if isinstance(content, list) else message
    )


def _bare(blocks: Any) -> Any:
    if not isinstance(blocks, list):
        return blocks
    return [
        {key: value for key, value in block.items() if key != "cache_control"}
        if isinstance(block, dict)
        else block
        for block in blocks
    ]
