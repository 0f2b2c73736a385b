"""The answer to one request: what the responder says, wrapped as the API wraps it, with its usage."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from nightbatch.emulator import prompt
from nightbatch.emulator.batch import SUCCEEDED
from nightbatch.emulator.cache import PromptCache
from nightbatch.emulator.errors import ApiError
from nightbatch.emulator.faults import Fault
from nightbatch.emulator.models import Model, dated_id
from nightbatch.emulator.outcome import Outcome, errored
from nightbatch.emulator.params import check_params
from nightbatch.emulator.reply import Answer, Failure, Reply, Responder
from nightbatch.emulator.row_faults import instead, spoil
from nightbatch.emulator.usage import Usage, tokens


@dataclass(frozen=True)
class Moment:
    """When a request starts and when its answer begins, in emulated seconds."""

    starts: float
    begins: float


@dataclass(frozen=True)
class Answerer:
    """Answers requests one by one; the cache is the only thing that one leaves to the next."""

    responder: Responder
    cache: PromptCache

    def answer(self, params: dict[str, Any], betas: frozenset[str], moment: Moment, fault: Fault | None) -> Outcome:
        """Return the outcome of one request: a message, an error, or what a fault makes of it."""
        if fault is not None and (other := instead(fault)) is not None:
            return other
        try:
            model = check_params(params, betas)
        except ApiError as error:
            return errored(error.kind, error.message)
        try:
            reply = _reply(self.responder(params))
        except Exception as error:
            return errored("api_error", f"the responder failed: {error!r}")
        if isinstance(reply, Failure):
            return errored(reply.kind, reply.message)
        if fault is not None:
            reply = spoil(reply, fault.what, fault.options)
        usage = self._prompt_usage(params, model, moment)
        return succeeded(params, model, usage, reply)

    def _prompt_usage(self, params: Mapping[str, Any], model: Model, moment: Moment) -> Usage:
        blocks = list(prompt.parts(params))
        if params.get("cache_control") and blocks:
            blocks[-1] = blocks[-1]._replace(ttl=blocks[-1].ttl or params["cache_control"].get("ttl") or "5m")
        variant = msgspec.json.encode((params.get("thinking"), params.get("output_config")))
        usage = self.cache.charge(model, variant, blocks, starts=moment.starts, begins=moment.begins)
        usage.input += prompt.count(params) - usage.prompt()
        return usage


def succeeded(params: Mapping[str, Any], model: Model, usage: Usage, reply: Reply) -> Outcome:
    """Return a `succeeded` row. An answer longer than `max_tokens` is cut there and stops with `max_tokens`."""
    reply = _cut(reply, params)
    content = reply.content if reply.content is not None else [{"type": "text", "text": reply.text}]
    said = reply.text or "".join(str(block.get("text") or block.get("input") or "") for block in content)
    usage.output = reply.output_tokens if reply.output_tokens is not None else max(1, tokens(said))
    stopped, sequence = _stop(reply)
    message = {
        "id": f"msg_01{blake2b(msgspec.json.encode(params), digest_size=11).hexdigest()}",
        "type": "message",
        "role": "assistant",
        "model": dated_id(model),
        "content": content,
        "stop_reason": stopped,
        "stop_sequence": sequence,
        "stop_details": None,
        "usage": usage.wire(params.get("inference_geo") or "global"),
    }
    if stopped == "refusal":
        message["stop_details"] = {"type": "refusal", "category": None, "explanation": None}
    return Outcome(SUCCEEDED, {"type": "succeeded", "message": message}, model.id, usage, model.cost(usage))


def _reply(answer: Answer) -> Reply | Failure:
    if isinstance(answer, (Reply, Failure)):
        return answer
    if isinstance(answer, str):
        return Reply(answer)
    return Reply(msgspec.json.encode(answer).decode())


def _cut(reply: Reply, params: Mapping[str, Any]) -> Reply:
    """Cut the text at the first stop sequence and at `max_tokens`."""
    if reply.content is not None:
        return reply
    found = [(reply.text.find(sequence), sequence) for sequence in params.get("stop_sequences") or []]
    places = sorted(place for place in found if place[0] >= 0)
    if places:
        place, sequence = places[0]
        reply = Reply(reply.text[:place], stop_reason=f"stop_sequence:{sequence}")
    most = params["max_tokens"]
    if tokens(reply.text) > most:
        return Reply(reply.text[: most * 4], stop_reason="max_tokens", output_tokens=most)
    return reply


def _stop(reply: Reply) -> tuple[str, str | None]:
    reason, _, sequence = reply.stop_reason.partition(":")
    return reason, sequence or None
