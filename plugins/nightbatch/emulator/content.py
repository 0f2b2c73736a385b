"""A request named by what it says: the hash of its params without cache_control, key order and white space apart."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(order="deterministic")


def content_of(params: Mapping[str, Any]) -> int:
    """Return 64 bits that name the content of a request: a million of them collide once in forty million runs."""
    plain = {key: _bare(value) if key in {"system", "tools"} else value for key, value in params.items()}
    plain.pop("cache_control", None)
    if "messages" in plain:
        plain["messages"] = _bare_messages(plain["messages"])
    return int.from_bytes(blake2b(_encoder.encode(plain), digest_size=8).digest())


def _bare_messages(messages: Any) -> Any:
    if not isinstance(messages, list):
        return messages
    return [
        {**message, "content": _bare(message["content"])}
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        else message
        for message in messages
    ]


def _bare(blocks: Any) -> Any:
    if not isinstance(blocks, list):
        return blocks
    return [
        {key: value for key, value in block.items() if key != "cache_control"} if isinstance(block, dict) else block
        for block in blocks
    ]
