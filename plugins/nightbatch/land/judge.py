"""One result becomes what landed of its request: judged by the table of outcomes and by the answer's own type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import Status, of_error, of_kind, of_stop
from nightbatch.messages.result_lines import Message, Result, Spent, Told
from nightbatch.messages.safe_words import row_error
from nightbatch.messages.usage import Usage
from nightbatch.money.billing import ABSURD, MOST_TOKENS
from nightbatch.money.server_tools import tool_uses


@dataclass(slots=True)
class Landed:
    """What became of one request."""

    status: Status
    error: str | None = None
    text: str | None = None
    value: Any = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    account: bool = False

    @property
    def said(self) -> int:
        """A hash of what was said; of an answer, that of its text's bytes."""
        if self.error is None:
            return hash((self.text or "").encode("utf-8", "surrogatepass"))
        return hash((self.status, self.error, self.text))


def judge(result: Result, answer: AnswerType) -> Landed:
    """Turn one result into what became of its request."""
    if result.type == "succeeded" and result.message is not None:
        return _judge_message(result.message, answer)
    if result.type == "errored":
        inner = (result.error and result.error.error) or result.error or Told()
        status, account = of_error(inner.type, inner.message, inner.code)
        return Landed(
            status, error=row_error(inner.type, inner.message), account=account
        )
    return Landed(*of_kind(result.type))


def _judge_message(message: Message, answer: AnswerType) -> Landed:
    status, error = of_stop(message.stop_reason)
    text = _said(message, structured=answer.schema is not None)
    value = None
    if status is Status.ANSWERED:
        value, error = answer.read(text)
        status = Status.ANSWERED if error is None else Status.INVALID
    return Landed(
        status,
        error,
        text or None,
        value,
        message.model,
        message.stop_reason,
        _usage(message.usage),
    )


def _said(message: Message, *, structured: bool) -> str:
    """Return the model's words: all its text, or the input of the tool it calls.

    Of a structured answer only what follows the last tool counts: before it a model may say what it is about to do.
    """
    if len(message.content) == 1 and message.content[0].type == "text":
        return message.content[0].text or ""
    said: list[str] = []
    for block in message.content:
        if block.type == "text":
            said.append(block.text or "")
        elif structured and "tool" in block.type:
            said.clear()
    called = next(
        (
            bytes(block.input).decode()
            for block in message.content
            if block.type == "tool_use"
        ),
        "",
    )
    if called and (structured and message.stop_reason == "tool_use"):
        return called
    return "".join(said) or called


def _count(tokens: int | None) -> int:
    """Return a count that an integer column holds; one that no request can have becomes ABSURD."""
    return tokens or 0 if 0 <= (tokens or 0) < MOST_TOKENS else ABSURD


def _usage(usage: Spent | None) -> Usage:
    if usage is None:
        return Usage()
    split = usage.cache_creation
    written = _count(usage.cache_creation_input_tokens)
    hour = (split and split.ephemeral_1h_input_tokens) or 0
    five = (split and split.ephemeral_5m_input_tokens) or max(0, written - hour)
    if written == ABSURD:
        five = ABSURD
    return Usage(
        input=_count(usage.input_tokens),
        cache_write_5m=_count(five),
        cache_write_1h=_count(hour),
        cache_read=_count(usage.cache_read_input_tokens),
        output=_count(usage.output_tokens),
        service_tier=usage.service_tier or "batch",
        inference_geo=usage.inference_geo,
        tools=tool_uses(usage.server_tool_use),
    )
