"""What a request says: its text, and its parts in the order in which a cache sees them (tools, system, messages)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from nightbatch.emulator.answers.usage import tokens

_OVERHEAD = {"image": 1_600, "document": 3_000}


class Part(NamedTuple):
    """A piece of a prompt. A cache breakpoint may follow it: `ttl` says for how long, None means there is none."""

    block: Any
    tokens: int
    ttl: str | None

    def content(self) -> bytes:
        """Return what makes this piece the same as another."""
        if not isinstance(self.block, dict):
            return str(self.block).encode()
        plain = {
            key: value for key, value in self.block.items() if key != "cache_control"
        }
        return msgspec.json.encode(plain, order="deterministic")


class Prompt(NamedTuple):
    """A request's prompt: its parts, and the tokens of them all with a few for the frame."""

    parts: list[Part]
    tokens: int

    def __add__(self, other: "Prompt") -> "Prompt":  # type: ignore[override]
        return Prompt(self.parts + other.parts, self.tokens + other.tokens)


def read_prompt(params: Mapping[str, Any]) -> Prompt:
    """Return the prompt of a request; whatever is not well formed counts for nothing."""
    return frame_prompt(params) + messages_prompt(params.get("messages"))


def frame_prompt(params: Mapping[str, Any]) -> Prompt:
    """Return what comes before the messages: tools, system, and the schema that the answer must follow."""
    parts = [_part(tool) for tool in _list(params.get("tools"))]
    parts += _blocks(params.get("system"))
    schema = output_schema(params)
    extra = 0 if schema is None else len(msgspec.json.encode(schema)) // 4
    return Prompt(parts, 3 + extra + sum(part.tokens for part in parts))


def messages_prompt(messages: object) -> Prompt:
    """Return what the messages say."""
    found = [message for message in _list(messages) if isinstance(message, dict)]
    parts = [part for message in found for part in _blocks(message.get("content"))]
    return Prompt(parts, 4 * len(found) + sum(part.tokens for part in parts))


def last_text(params: Mapping[str, Any]) -> str:
    """Return the text of the last message by the user: what an answer should follow."""
    for message in reversed(_list(params.get("messages"))):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def output_schema(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema that the answer must follow, if one is asked for."""
    config = params.get("output_config")
    form = config.get("format") if isinstance(config, dict) else None
    schema = form.get("schema") if isinstance(form, dict) else None
    return schema if isinstance(schema, dict) else None


def _blocks(content: object) -> Iterator[Part]:
    if isinstance(content, str):
        yield Part(content, tokens(content), None)
        return
    for block in _list(content):
        yield _part(block)


def _part(block: object) -> Part:
    if not isinstance(block, dict):
        return Part("", 0, None)
    control = block.get("cache_control")
    ttl = (control.get("ttl") or "5m") if isinstance(control, dict) else None
    text = block.get("text")
    if isinstance(text, str):
        return Part(block, tokens(text), ttl)
    return Part(
        block,
        _OVERHEAD.get(str(block.get("type")))
        or len(msgspec.json.encode(block)) // 4 + 1,
        ttl,
    )


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    texts = (block.get("text") for block in _list(content) if isinstance(block, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
