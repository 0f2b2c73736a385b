"""The answer to a plain request: what `answers/answering.py` gives, with fewer objects and a template of the line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from nightbatch.emulator.answers.answering import (
    Answerer,
    answer_text,
    geo_of,
    message_number,
    succeeded,
)
from nightbatch.emulator.answers.cache import Breakpoint, breakpoints_of
from nightbatch.emulator.answers.content import text_content
from nightbatch.emulator.answers.frame import RequestFrame
from nightbatch.emulator.answers.models import Model, dated_id
from nightbatch.emulator.answers.outcome import add_outcome, errored
from nightbatch.emulator.answers.prompt import MESSAGE_TOKENS
from nightbatch.emulator.answers.usage import AnswerUsage, tokens, tokens_of_size
from nightbatch.emulator.batches.batch import SUCCEEDED, BatchAnswers
from nightbatch.emulator.batches.intake import Item
from nightbatch.emulator.plain.form import PlainForm, read_form
from nightbatch.emulator.reply import Failure, Reply
from nightbatch.emulator.wire import Json

Moments = Callable[[int], tuple[float, float]]
"""Return when the request of a rank starts and when its answer begins, in emulated seconds."""

_LINE = (
    b'{"custom_id":"%%b","result":{"type":"succeeded","message":{"id":"msg_01%%022x","type":"message",'
    b'"role":"assistant","model":%b,"content":[{"type":"text","text":%%b}],"stop_reason":"end_turn",'
    b'"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":%%d,"cache_creation_input_tokens":%%d,'
    b'"cache_read_input_tokens":%%d,"cache_creation":{"ephemeral_5m_input_tokens":%%d,'
    b'"ephemeral_1h_input_tokens":%%d},"output_tokens":%%d,"service_tier":"batch","inference_geo":%b}}}}\n'
)
"""The model and the geo are the same for all requests of a form; the rest is set for each."""
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _PlainFrame:
    """What the requests of a form have in common. `prompt_tokens` are those of an empty text."""

    form: PlainForm
    frame: RequestFrame
    model: Model
    geo: str
    prompt_tokens: int
    max_tokens: int
    breakpoints: list[Breakpoint]
    line: bytes


class PlainRequests:
    """The plain requests of one batch. What they share is learned from those that go the general way."""

    def __init__(
        self, answerer: Answerer, answers: BatchAnswers, moments: Moments
    ) -> None:
        self._answerer = answerer
        self._answers = answers
        self._moments = moments
        self._general_frame: RequestFrame | None = None
        self._plain: _PlainFrame | None = None

    def learn(self, item: Item, params: Json, frame: RequestFrame) -> None:
        """Learn from a request that went the general way; only if the one before had the same frame, as many do."""
        is_repeated = frame is self._general_frame
        self._general_frame = frame
        if not is_repeated:
            return
        form = read_form(bytes(item.params), params, frame)
        if form is not None and isinstance(frame.model, Model):
            self._plain = _plain_frame(form, frame, frame.model)

    def line(self, rank: int, item: Item) -> bytes | None:
        """Return the line of a plain request, and add its answer; for any other request do nothing and return None."""
        plain = self._plain
        if plain is None:
            return None
        text = plain.form.text_of(bytes(item.params))
        if text is None:
            return None
        text_bytes = text.encode()
        text_tokens = tokens_of_size(len(text), len(text_bytes))
        prompt_tokens = plain.prompt_tokens + text_tokens
        if prompt_tokens > plain.model.context:
            return None
        content = text_content(plain.frame.digest, text_bytes)
        answer = self._answerer.call(plain.form.params_of(text))
        if isinstance(answer, Failure):
            outcome = errored(answer.kind, answer.message)
            return add_outcome(self._answers, item.custom_id, content, outcome)
        usage = AnswerUsage(prompt_tokens)
        if plain.breakpoints:
            usage = self._cached_usage(plain, prompt_tokens, rank)
        if not isinstance(answer, Reply):
            text = answer_text(answer)
            usage.output = max(1, tokens(text))
            if usage.output <= plain.max_tokens:
                return self._succeeded_line(plain, item, content, usage, text)
            answer = Reply(text)
        outcome = succeeded(plain.frame.params, plain.model, usage, answer)
        return add_outcome(self._answers, item.custom_id, content, outcome)

    def _cached_usage(
        self, plain: _PlainFrame, prompt_tokens: int, rank: int
    ) -> AnswerUsage:
        starts_at, begins_at = self._moments(rank)
        return self._answerer.cache.charge(
            prompt_tokens, plain.breakpoints, starts=starts_at, begins=begins_at
        )

    def _succeeded_line(
        self,
        plain: _PlainFrame,
        item: Item,
        content: int,
        usage: AnswerUsage,
        text: str,
    ) -> bytes:
        model = plain.model
        answers = self._answers
        answers.kinds.append(SUCCEEDED)
        answers.contents.append(content)
        answers.bill.add(model.id, usage, model.cost(usage, plain.geo))
        return plain.line % (
            item.custom_id.encode(),
            message_number(),
            _encoder.encode(text),
            usage.input,
            usage.written_5m + usage.written_1h,
            usage.read,
            usage.written_5m,
            usage.written_1h,
            usage.output,
        )


def _plain_frame(form: PlainForm, frame: RequestFrame, model: Model) -> _PlainFrame:
    geo = geo_of(frame.params)
    shared_values = (_literal(dated_id(model)), _literal(geo))
    return _PlainFrame(
        form=form,
        frame=frame,
        model=model,
        geo=geo,
        prompt_tokens=frame.prompt.tokens + MESSAGE_TOKENS,
        max_tokens=frame.params["max_tokens"],
        breakpoints=breakpoints_of(model, frame.prompt, frame.variant),
        line=_LINE % shared_values,
    )


def _literal(value: object) -> bytes:
    """Return a value's JSON for a template, in which a percent sign is written twice."""
    return _encoder.encode(value).replace(b"%", b"%%")
