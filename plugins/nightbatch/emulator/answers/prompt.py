"""The prompt of a request: its text, and its parts in the order in which it is cached (tools, system, messages)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from nightbatch.emulator.answers.usage import tokens
from nightbatch.emulator.wire import Json, Params

MESSAGE_TOKENS = 4
"""What each message takes besides its content."""
_FRAME_TOKENS = 3
_OVERHEAD = {"image": 1_600, "document": 3_000}


class Part(NamedTuple):
    """A piece of a prompt. `ttl` is the time to live of the cache breakpoint after it; None: there is no breakpoint."""

    block: Any
    tokens: int
    ttl: str | None

    def content(self) -> bytes:
        """Return the bytes by which two pieces are compared: the block without cache_control."""
        block = self.block
        if not isinstance(block, dict):
            return str(block).encode()
        plain_block = dict(block)
        plain_block.pop("cache_control", None)
        return msgspec.json.encode(plain_block, order="deterministic")


class Prompt(NamedTuple):
    """A request's prompt: its parts, and the tokens of them all with a few for the frame."""

    parts: list[Part]
    tokens: int

    def __add__(self, other: "Prompt") -> "Prompt":  # type: ignore[override]
        return Prompt(self.parts + other.parts, self.tokens + other.tokens)


def read_prompt(params: Params) -> Prompt:
    """Return the prompt of a request; malformed parts count as empty."""
    return frame_prompt(params) + messages_prompt(params.get("messages"))


def frame_prompt(params: Params) -> Prompt:
    """Return what comes before the messages: tools, system, and the schema that the answer must follow."""
    tools = _list(params.get("tools"))
    system = params.get("system")
    parts = [_part(tool) for tool in tools]
    parts += _blocks(system)
    schema_tokens = _schema_tokens(params)
    frame_tokens = _FRAME_TOKENS + schema_tokens + _token_sum(parts)
    return Prompt(parts, frame_tokens)


def messages_prompt(messages: object) -> Prompt:
    """Return the prompt of the messages."""
    message_count = 0
    parts: list[Part] = []
    for message in _list(messages):
        if not isinstance(message, dict):
            continue
        message_count += 1
        content = message.get("content")
        parts += _blocks(content)
    overhead = MESSAGE_TOKENS * message_count
    return Prompt(parts, overhead + _token_sum(parts))


def last_text(params: Params) -> str:
    """Return the text of the last message by the user: what an answer should follow."""
    for message in reversed(_list(params.get("messages"))):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def output_schema(params: Params) -> Json | None:
    """Return the schema that the answer must follow, if one is asked for."""
    config = params.get("output_config")
    output_format = config.get("format") if isinstance(config, dict) else None
    schema = output_format.get("schema") if isinstance(output_format, dict) else None
    return schema if isinstance(schema, dict) else None


def _token_sum(parts: list[Part]) -> int:
    return sum(part.tokens for part in parts)


def _schema_tokens(params: Params) -> int:
    schema = output_schema(params)
    if schema is None:
        return 0
    return len(msgspec.json.encode(schema)) // 4


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
    return Part(block, _block_tokens(block), ttl)


def _block_tokens(block: Mapping[str, Any]) -> int:
    """Estimate the tokens of a block: by its text, by its type, or by its JSON."""
    text = block.get("text")
    if isinstance(text, str):
        return tokens(text)
    block_type = str(block.get("type"))
    overhead = _OVERHEAD.get(block_type)
    if overhead is not None:
        return overhead
    block_json = msgspec.json.encode(block)
    return len(block_json) // 4 + 1


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    block_texts = []
    for block in _list(content):
        text = block.get("text") if isinstance(block, dict) else None
        if isinstance(text, str):
            block_texts.append(text)
    return "\n".join(block_texts)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
