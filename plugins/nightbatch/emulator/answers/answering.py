"""The answer to one request: what the responder returns, wrapped as the API wraps it, with its usage."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nightbatch.emulator.answers.cache import PromptCache, breakpoints_of
from nightbatch.emulator.answers.checks.messages import (
    check_messages,
    check_with_format,
)
from nightbatch.emulator.answers.checks.prompt import check_prompt
from nightbatch.emulator.answers.frame import Frames, RequestFrame
from nightbatch.emulator.answers.models import Model, dated_id
from nightbatch.emulator.answers.outcome import Outcome, errored
from nightbatch.emulator.answers.prompt import Prompt, messages_prompt
from nightbatch.emulator.answers.row_faults import replacement_outcome, spoil_answer
from nightbatch.emulator.answers.usage import AnswerUsage, tokens
from nightbatch.emulator.batches.batch import SUCCEEDED
from nightbatch.emulator.errors import ApiError
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.reply import Answer, Failure, Reply, Responder
from nightbatch.emulator.wire import Json, Params

_REFUSAL_DETAILS = {"type": "refusal", "category": None, "explanation": None}
_message_numbers = random.Random()  # noqa: S311
"""Seeded by the system once: asking it for each id took a seventh of the time of a batch."""


@dataclass(frozen=True)
class AskedRequest:
    """One request of a batch: params, their frame, the emulated seconds when it starts and when its answer begins."""

    params: Json
    frame: RequestFrame
    starts: float
    begins: float


@dataclass(frozen=True)
class Answerer:
    """Answers requests one by one; the only state they share is the prompt cache."""

    responder: Responder
    cache: PromptCache
    frames: Frames = field(default_factory=Frames)

    def answer(self, asked: AskedRequest, fault: Fault | None) -> Outcome:
        """Return the outcome of one request: a message, an error, or what a fault makes of it."""
        if fault is not None:
            fault_outcome = replacement_outcome(fault)
            if fault_outcome is not None:
                return fault_outcome
        model = asked.frame.model
        if isinstance(model, ApiError):
            return errored(model.kind, model.message)
        try:
            prompt = _checked_prompt(asked, model)
        except ApiError as error:
            return errored(error.kind, error.message)
        reply = self._reply(asked.params)
        if isinstance(reply, Failure):
            return errored(reply.kind, reply.message)
        if fault is not None:
            reply = spoil_answer(reply, fault.what, fault.options)
        breakpoints = breakpoints_of(model, prompt, asked.frame.variant)
        usage = self.cache.charge(
            prompt.tokens, breakpoints, starts=asked.starts, begins=asked.begins
        )
        return succeeded(asked.frame.params, model, usage, reply)

    def call(self, params: Json) -> Answer:
        """Return what the responder returns; a failure where it raises."""
        try:
            return self.responder(params)
        except Exception as error:
            message = f"the responder failed: {error!r}"
            return Failure("api_error", message)

    def _reply(self, params: Json) -> Reply | Failure:
        answer = self.call(params)
        if isinstance(answer, (Reply, Failure)):
            return answer
        return Reply(answer_text(answer))


def _checked_prompt(asked: AskedRequest, model: Model) -> Prompt:
    """Return the whole prompt of a request, or raise the error of its messages or its length."""
    params = asked.params
    frame = asked.frame
    messages = params.get("messages")
    check_messages(messages)
    check_with_format(frame.params, params["messages"])
    whole_prompt = frame.prompt + messages_prompt(messages)
    cache_control = params.get("cache_control")
    prompt = _with_last_breakpoint(whole_prompt, cache_control)
    check_prompt(prompt, model)
    return prompt


def _with_last_breakpoint(prompt: Prompt, control: object) -> Prompt:
    """Set the breakpoint that a top-level cache_control asks for: after the last part."""
    if not isinstance(control, dict) or not prompt.parts:
        return prompt
    *first_parts, last_part = prompt.parts
    ttl = last_part.ttl or control.get("ttl") or "5m"
    marked_part = last_part._replace(ttl=ttl)
    return Prompt([*first_parts, marked_part], prompt.tokens)


def succeeded(
    params: Params, model: Model, usage: AnswerUsage, reply: Reply
) -> Outcome:
    """Return a `succeeded` row. An answer longer than `max_tokens` is cut there and stops with `max_tokens`."""
    reply = _cut(reply, params)
    content_blocks = _content_blocks(reply)
    usage.output = _output_tokens(reply, content_blocks)
    stop_reason, stop_sequence = _stop(reply)
    geo = geo_of(params)
    message = {
        "id": f"msg_01{message_number():022x}",
        "type": "message",
        "role": "assistant",
        "model": dated_id(model),
        "content": content_blocks,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "stop_details": dict(_REFUSAL_DETAILS) if stop_reason == "refusal" else None,
        "usage": usage.wire(geo),
    }
    result_json = msgspec.json.encode({"type": "succeeded", "message": message})
    return Outcome(SUCCEEDED, result_json, model.id, usage, model.cost(usage, geo))


def message_number() -> int:
    """Return the random part of a message's id, 88 bits."""
    return _message_numbers.getrandbits(88)


def geo_of(params: Params) -> str:
    """Return where a request is answered."""
    geo: str = params.get("inference_geo") or "global"
    return geo


def _content_blocks(reply: Reply) -> list[Json]:
    if reply.content is not None:
        return reply.content
    return [{"type": "text", "text": reply.text}]


def _output_tokens(reply: Reply, content_blocks: list[Json]) -> int:
    if reply.output_tokens is not None:
        return reply.output_tokens
    text = reply.text or "".join(map(_block_text, content_blocks))
    return max(1, tokens(text))


def _block_text(block: Mapping[str, Any]) -> str:
    return str(block.get("text") or block.get("input") or "")


def answer_text(answer: str | Mapping[str, Any] | list[Any]) -> str:
    """Return an answer as text: JSON, unless it is one."""
    if isinstance(answer, str):
        return answer
    return msgspec.json.encode(answer).decode()


def _cut(reply: Reply, params: Params) -> Reply:
    """Cut the text at the first stop sequence and at `max_tokens`."""
    if reply.content is not None:
        return reply
    stop_sequences = params.get("stop_sequences") or []
    reply = _cut_at_stop_sequence(reply, stop_sequences)
    max_tokens = params["max_tokens"]
    if tokens(reply.text) <= max_tokens:
        return reply
    most_characters = max_tokens * 4
    cut_text = reply.text[:most_characters]
    return Reply(cut_text, stop_reason="max_tokens", output_tokens=max_tokens)


def _cut_at_stop_sequence(reply: Reply, stop_sequences: list[str]) -> Reply:
    matches = []
    for stop_sequence in stop_sequences:
        position = reply.text.find(stop_sequence)
        if position >= 0:
            matches.append((position, stop_sequence))
    if not matches:
        return reply
    first_position, first_sequence = min(matches)
    return Reply(
        reply.text[:first_position], stop_reason=f"stop_sequence:{first_sequence}"
    )


def _stop(reply: Reply) -> tuple[str, str | None]:
    """Return the stop reason and the stop sequence, if one was hit."""
    stop_reason, _, stop_sequence = reply.stop_reason.partition(":")
    return stop_reason, stop_sequence or None
