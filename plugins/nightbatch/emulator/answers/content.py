"""The hash that names a request: of its params without cache_control, whatever their key order and white space."""

from hashlib import blake2b
from typing import Any

import msgspec

from nightbatch.emulator.wire import Params

_encoder = msgspec.json.Encoder(order="deterministic")


def frame_digest(frame: Params) -> bytes:
    """Return the hash of everything about a request but its messages."""
    plain_frame = dict(frame)
    plain_frame.pop("cache_control", None)
    for block_key in ("system", "tools"):
        blocks = plain_frame.get(block_key)
        if blocks is not None:
            plain_frame[block_key] = _without_cache_control(blocks)
    encoded_frame = _encoder.encode(plain_frame)
    return blake2b(encoded_frame, digest_size=16).digest()


def content_of(frame: bytes, messages: Any) -> int:
    """Return a 64-bit hash of a request's content: among a million, two collide once in forty million runs."""
    match messages:
        case [{"role": "user", "content": str(text), **others}] if not others:
            return text_content(frame, text.encode())
    if isinstance(messages, list):
        messages = [_plain_message(message) for message in messages]
    encoded_messages = _encoder.encode(messages)
    digest = blake2b(frame + encoded_messages, digest_size=8).digest()
    return int.from_bytes(digest)


def text_content(frame: bytes, text: bytes) -> int:
    """Return the hash of a request's content where one text by the user, in UTF-8, is all of its messages.

    Most are such, and so their texts need not be made JSON again. No JSON begins with the zero before the text.
    """
    digest = blake2b(b"%b\0%b" % (frame, text), digest_size=8).digest()
    return int.from_bytes(digest)


def _plain_message(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    return {**message, "content": _without_cache_control(content)}


def _without_cache_control(blocks: Any) -> Any:
    if not isinstance(blocks, list):
        return blocks
    return [_plain_block(block) for block in blocks]


def _plain_block(block: Any) -> Any:
    if not isinstance(block, dict):
        return block
    return {key: value for key, value in block.items() if key != "cache_control"}
