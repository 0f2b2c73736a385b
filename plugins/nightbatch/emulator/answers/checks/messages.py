"""Checks of messages and of the blocks in them."""

from nightbatch.emulator.answers.prompt import output_schema
from nightbatch.emulator.errors import invalid
from nightbatch.emulator.wire import Json, Params

_MESSAGE_KEYS = {"role", "content"}
_ROLES = {"user", "assistant", "system"}
_EMPTY_CONTENT = "all messages must have non-empty content except for the optional final assistant message"


def check_messages(messages: object) -> None:
    """Raise the error of messages that are malformed."""
    if messages is None:
        raise invalid("messages: Field required")
    if not isinstance(messages, list):
        raise invalid("messages: Input should be a valid list")
    if not messages:
        raise invalid("messages: at least one message is required")
    for number, message in enumerate(messages):
        _check_message(message, f"messages.{number}")
    if messages[0]["role"] == "assistant":
        raise invalid("messages: first message must use the 'user' role")


def check_with_format(frame: Params, messages: list[Json]) -> None:
    """Raise the error of a prefill or of citations where the answer must follow a schema."""
    if output_schema(frame) is None:
        return
    if messages[-1]["role"] == "assistant":
        raise invalid(
            "output_config.format: prefilling the assistant's message is not supported"
        )
    if any(_asks_for_citations(message["content"]) for message in messages):
        raise invalid("output_config.format: citations are not supported")


def _asks_for_citations(content: object) -> bool:
    if not isinstance(content, list):
        return False
    for block in content:
        citations = block.get("citations")
        if isinstance(citations, dict) and citations.get("enabled"):
            return True
    return False


def _check_message(message: object, place: str) -> None:
    if not isinstance(message, dict):
        raise invalid(f"{place}: Input should be a valid dictionary")
    extra_keys = message.keys() - _MESSAGE_KEYS
    if extra_keys:
        first_key = min(extra_keys)
        raise invalid(f"{place}.{first_key}: Extra inputs are not permitted")
    role = message.get("role")
    if role not in _ROLES:
        raise invalid(f"{place}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    _check_content(content, place)


def _check_content(content: object, place: str) -> None:
    if not isinstance(content, (str, list)):
        raise invalid(f"{place}.content: Input should be a valid list")
    if not content:
        raise invalid(f"{place}: {_EMPTY_CONTENT}")
    if isinstance(content, str):
        return
    for number, block in enumerate(content):
        check_block(block, f"{place}.content.{number}")


def check_block(block: object, place: str) -> None:
    """Raise the error of a block of a message or of a system prompt."""
    if not isinstance(block, dict):
        raise invalid(f"{place}.type: Field required")
    block_type = block.get("type")
    if not isinstance(block_type, str):
        raise invalid(f"{place}.type: Field required")
    if block_type == "text" and not block.get("text"):
        raise invalid(f"{place}.text: text content blocks must be non-empty")
    source = block.get("source")
    source_type = source.get("type") if isinstance(source, dict) else None
    if source_type == "url":
        raise invalid(
            f"{place}.source.url: Unable to download the file. Please verify the URL and try again."
        )
