"""The answer to one request: what the responder says, wrapped as the API wraps it, with its usage."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nightbatch.emulator.answers.cache import PromptCache
from nightbatch.emulator.answers.frame import Frame, Frames
from nightbatch.emulator.answers.models import Model, dated_id
from nightbatch.emulator.answers.outcome import Outcome, errored
from nightbatch.emulator.answers.params import (
    check_messages,
    check_prompt,
    check_with_format,
)
from nightbatch.emulator.answers.prompt import Prompt, messages_prompt
from nightbatch.emulator.answers.row_faults import instead, spoil
from nightbatch.emulator.answers.usage import Usage, tokens
from nightbatch.emulator.batches.batch import SUCCEEDED
from nightbatch.emulator.errors import ApiError
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.reply import Failure, Reply, Responder


@dataclass(frozen=True)
class Asked:
    """One request of a batch: params, their frame, the emulated seconds when it starts and when its answer begins."""

    params: dict[str, Any]
    frame: Frame
    starts: float
    begins: float


@dataclass(frozen=True)
class Answerer:
    """Answers requests one by one; the cache is the only thing that one leaves to the next."""

    responder: Responder
    cache: PromptCache
    frames: Frames = field(default_factory=Frames)

    def answer(self, asked: Asked, fault: Fault | None) -> Outcome:
        """Return the outcome of one request: a message, an error, or what a fault makes of it."""
        if fault is not None and (other := instead(fault)) is not None:
            return other
        frame, model = asked.frame, asked.frame.model
        if isinstance(model, ApiError):
            return errored(model.kind, model.message)
        try:
            check_messages(asked.params.get("messages"))
            check_with_format(frame.params, asked.params["messages"])
            prompt = frame.prompt + messages_prompt(asked.params["messages"])
            prompt = _with_last_breakpoint(prompt, asked.params.get("cache_control"))
            check_prompt(prompt, model)
        except ApiError as error:
            return errored(error.kind, error.message)
        reply = self._reply(asked.params)
        if isinstance(reply, Failure):
            return errored(reply.kind, reply.message)
        if fault is not None:
            reply = spoil(reply, fault.what, fault.options)
        usage = self.cache.charge(
            model, prompt, frame.variant, starts=asked.starts, begins=asked.begins
        )
        return succeeded(asked.params, model, usage, reply)

    def _reply(self, params: dict[str, Any]) -> Reply | Failure:
        try:
            answer = self.responder(params)
        except Exception as error:
            return Failure("api_error", f"the responder failed: {error!r}")
        return answer if isinstance(answer, (Reply, Failure)) else Reply(_text(answer))


def _with_last_breakpoint(prompt: Prompt, control: object) -> Prompt:
    """Set the breakpoint that a top-level cache_control asks for: after the last part."""
    if isinstance(control, dict) and prompt.parts:
        last = prompt.parts[-1]
        prompt.parts[-1] = last._replace(ttl=last.ttl or control.get("ttl") or "5m")
    return prompt


def succeeded(
    params: Mapping[str, Any], model: Model, usage: Usage, reply: Reply
) -> Outcome:
    """Return a `succeeded` row. An answer longer than `max_tokens` is cut there and stops with `max_tokens`."""
    reply = _cut(reply, params)
    content = (
        reply.content
        if reply.content is not None
        else [{"type": "text", "text": reply.text}]
    )
    said = reply.text or "".join(
        str(block.get("text") or block.get("input") or "") for block in content
    )
    usage.output = (
        reply.output_tokens if reply.output_tokens is not None else max(1, tokens(said))
    )
    stopped, sequence = _stop(reply)
    geo = params.get("inference_geo") or "global"
    message = {
        "id": f"msg_01{secrets.token_hex(11)}",
        "type": "message",
        "role": "assistant",
        "model": dated_id(model),
        "content": content,
        "stop_reason": stopped,
        "stop_sequence": sequence,
        "stop_details": None,
        "usage": usage.wire(geo),
    }
    if stopped == "refusal":
        message["stop_details"] = {
            "type": "refusal",
            "category": None,
            "explanation": None,
        }
    return Outcome(
        SUCCEEDED,
        {"type": "succeeded", "message": message},
        model.id,
        usage,
        model.cost(usage, geo),
    )


def _text(answer: str | Mapping[str, Any] | list[Any]) -> str:
    return answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()


def _cut(reply: Reply, params: Mapping[str, Any]) -> Reply:
    """Cut the text at the first stop sequence and at `max_tokens`."""
    if reply.content is not None:
        return reply
    found = [
        (reply.text.find(sequence), sequence)
        for sequence in params.get("stop_sequences") or []
    ]
    places = sorted(place for place in found if place[0] >= 0)
    if places:
        place, sequence = places[0]
        reply = Reply(reply.text[:place], stop_reason=f"stop_sequence:{sequence}")
    most = params["max_tokens"]
    if tokens(reply.text) > most:
        return Reply(
            reply.text[: most * 4], stop_reason="max_tokens", output_tokens=most
        )
    return reply


def _stop(reply: Reply) -> tuple[str, str | None]:
    reason, _, sequence = reply.stop_reason.partition(":")
    return reason, sequence or None
