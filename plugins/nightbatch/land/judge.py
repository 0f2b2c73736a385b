"""Turn one result into the verdict on its request, by the table of outcomes and the answer's type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import (
    Status,
    status_of_error,
    status_of_stop,
    status_of_type,
)
from nightbatch.messages.result_lines import (
    CacheCreation,
    ErrorBody,
    Message,
    ResultBody,
    UsageBody,
)
from nightbatch.messages.safe_words import row_error
from nightbatch.messages.usage import TokenUsage
from nightbatch.money.billing.charge import ABSURD, MOST_TOKENS
from nightbatch.money.server_tools import tool_uses


@dataclass(slots=True)
class Verdict:
    """The outcome of one request. `account`: the account is at fault, not the row."""

    status: Status
    error: str | None = None
    text: str | None = None
    value: Any = None
    model: str | None = None
    stop_reason: str | None = None
    usage: TokenUsage | None = None
    account: bool = False

    @property
    def content_hash(self) -> int:
        """A hash of the content; for an answer, the hash of its text's bytes."""
        if self.error is None:
            text = self.text or ""
            return hash(text.encode("utf-8", "surrogatepass"))
        return hash((self.status, self.error, self.text))


def verdict(result: ResultBody, answer: AnswerType) -> Verdict:
    """Turn one result into the verdict on its request."""
    message = result.message
    if result.type == "succeeded" and message is not None:
        return _judge_message(message, answer)
    if result.type == "errored":
        return _judge_error(result.error or ErrorBody())
    status, error = status_of_type(result.type)
    return Verdict(status, error)


def _judge_error(outer: ErrorBody) -> Verdict:
    inner = outer.error or outer
    status, account = status_of_error(inner.type, inner.message, inner.code)
    error = row_error(inner.type, inner.message)
    return Verdict(status, error=error, account=account)


def _judge_message(message: Message, answer: AnswerType) -> Verdict:
    status, error = status_of_stop(message.stop_reason)
    text = _answer_text(message, structured=answer.schema is not None)
    value = None
    if status is Status.ANSWERED:
        value, error = answer.read(text)
        status = Status.ANSWERED if error is None else Status.INVALID
    return Verdict(
        status=status,
        error=error,
        text=text or None,
        value=value,
        model=message.model,
        stop_reason=message.stop_reason,
        usage=_usage(message.usage),
    )


def _answer_text(message: Message, *, structured: bool) -> str:
    """Return all text of a message, or the input of the tool that it calls.

    In a structured answer only the text after the last tool counts: before it a model may announce what it will do.
    """
    blocks = message.content
    if len(blocks) == 1 and blocks[0].type == "text":
        return blocks[0].text or ""
    texts: list[str] = []
    for block in blocks:
        if block.type == "text":
            texts.append(block.text or "")
        elif structured and "tool" in block.type:
            texts.clear()
    tool_input = _first_tool_input(message)
    ends_with_tool = message.stop_reason == "tool_use"
    if tool_input and structured and ends_with_tool:
        return tool_input
    return "".join(texts) or tool_input


def _first_tool_input(message: Message) -> str:
    """Return the input of the first tool call as JSON text; empty if there is no call."""
    for block in message.content:
        if block.type == "tool_use":
            return bytes(block.input).decode()
    return ""


def _count(tokens: int | None) -> int:
    """Return a count that fits an integer column; one that no request can have becomes ABSURD."""
    token_count = tokens or 0
    return token_count if 0 <= token_count < MOST_TOKENS else ABSURD


def _usage(usage: UsageBody | None) -> TokenUsage:
    if usage is None:
        return TokenUsage()
    by_age = usage.cache_creation or CacheCreation()
    all_writes = _count(usage.cache_creation_input_tokens)
    hour_writes = by_age.ephemeral_1h_input_tokens or 0
    five_minute_writes = by_age.ephemeral_5m_input_tokens
    if not five_minute_writes:
        five_minute_writes = max(0, all_writes - hour_writes)
    if all_writes == ABSURD:
        five_minute_writes = ABSURD
    return TokenUsage(
        input=_count(usage.input_tokens),
        cache_write_5m=_count(five_minute_writes),
        cache_write_1h=_count(hour_writes),
        cache_read=_count(usage.cache_read_input_tokens),
        output=_count(usage.output_tokens),
        service_tier=usage.service_tier or "batch",
        inference_geo=usage.inference_geo,
        tools=tool_uses(usage.server_tool_use),
    )
