"""What a request says: its text, and its parts in the order in which a cache sees them (tools, system, messages)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from nightbatch.emulator.usage import tokens

Params = Mapping[str, Any]

_OVERHEAD = {"image": 1_600, "document": 3_000}


class Part(NamedTuple):
    """A piece of a prompt that a cache breakpoint may follow; `ttl` says how long, None means no breakpoint."""

    content: bytes
    tokens: int
    ttl: str | None


def parts(params: Params) -> Iterator[Part]:
    """Yield the prompt's parts in cache order."""
    for tool in _list(params.get("tools")):
        yield _part(tool)
    yield from _blocks(params.get("system"))
    for message in _list(params.get("messages")):
        if isinstance(message, Mapping):
            yield from _blocks(message.get("content"))


def count(params: Params) -> int:
    """Return the estimated input tokens of a request, with a few for the frame."""
    schema = output_schema(params)
    extra = tokens(msgspec.json.encode(schema).decode()) if schema is not None else 0
    return 3 + extra + 4 * len(_list(params.get("messages"))) + sum(part.tokens for part in parts(params))


def last_text(params: Params) -> str:
    """Return the text of the last message by the user: what an answer should follow."""
    for message in reversed(_list(params.get("messages"))):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def output_schema(params: Params) -> Mapping[str, Any] | None:
    """Return the schema that the answer must follow, if one is asked for."""
    config = params.get("output_config")
    form = config.get("format") if isinstance(config, Mapping) else None
    schema = form.get("schema") if isinstance(form, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def _blocks(content: object) -> Iterator[Part]:
    if isinstance(content, str):
        yield Part(content.encode(), tokens(content), None)
        return
    for block in _list(content):
        yield _part(block)


def _part(block: object) -> Part:
    if not isinstance(block, Mapping):
        return Part(b"", 0, None)
    control = block.get("cache_control")
    ttl = (control.get("ttl") or "5m") if isinstance(control, Mapping) else None
    plain = {key: value for key, value in block.items() if key != "cache_control"}
    content = msgspec.json.encode(plain, order="deterministic")
    text = block.get("text")
    size = tokens(text) if isinstance(text, str) else _OVERHEAD.get(str(block.get("type"))) or len(content) // 4 + 1
    return Part(content, size, ttl)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    texts = (block.get("text") for block in _list(content) if isinstance(block, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
