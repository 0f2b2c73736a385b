"""Plain requests get what the general way gives them: the same lines, contents, tokens and dollars."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nightbatch.emulator.answers.answering import Answerer
from nightbatch.emulator.answers.cache import PromptCache
from nightbatch.emulator.batches.batch import Batch, BatchAnswers
from nightbatch.emulator.batches.timeline import BatchId, Timeline
from nightbatch.emulator.batches.work import Job, work
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.reply import Answer, Failure, Reply
from nightbatch.emulator.settings import BatchDuration

LONG_SYSTEM = "Some instructions. " * 150
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
NO_FAULT = Fault(id=1, where="row", what="errored", match={"custom_id": "nobody"})
"""It strikes no request, but sends all of its batch the general way."""
MESSAGE_ID = re.compile(rb'"msg_01[0-9a-f]{22}"')


def marked(ttl: str) -> list[dict[str, Any]]:
    cache_control = {"type": "ephemeral", "ttl": ttl}
    return [{"type": "text", "text": LONG_SYSTEM, "cache_control": cache_control}]


FRAMES: list[dict[str, Any]] = [
    {"model": "claude-haiku-4-5", "max_tokens": 300},
    {"model": "claude-haiku-4-5", "max_tokens": 2, "system": "text"},
    {"model": "claude-opus-5", "max_tokens": 300, "system": marked("1h")},
    {"model": "claude-opus-5", "max_tokens": 300, "system": marked("5m")},
    {"model": "claude-opus-5", "max_tokens": 300, "system": marked("2h")},
    {
        "model": "claude-opus-5",
        "max_tokens": 300,
        "system": LONG_SYSTEM,
        "cache_control": {"type": "ephemeral"},
    },
    {"model": "claude-haiku-4-5", "max_tokens": 300, "stop_sequences": ["b"]},
    {"model": "claude-sonnet-5", "max_tokens": 300, "inference_geo": "us"},
    {"model": "claude-sonnet-5", "max_tokens": 300, "inference_geo": "100%"},
    {"model": "claude-unknown", "max_tokens": 300},
    {
        "model": "claude-haiku-5-5",
        "max_tokens": 300,
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    },
]
TEXTS = st.one_of(st.sampled_from(["", "a", "b", "%", '\n"', "ä€"]), st.text())
BLOCK = {"type": "text", "text": "block", "cache_control": {"type": "ephemeral"}}
MESSAGES = st.one_of(
    TEXTS.map(lambda text: [{"role": "user", "content": text}]),
    TEXTS.map(lambda text: [{"content": text, "role": "user"}]),
    TEXTS.map(lambda text: [{"role": "assistant", "content": text}]),
    TEXTS.map(lambda text: [{"role": "user", "content": text, "more": 1}]),
    TEXTS.map(lambda text: [{"role": "user", "content": text}] * 2),
    st.just([{"role": "user", "content": [BLOCK]}]),
    st.sampled_from([None, [], "text", [3]]),
)
ENDINGS = st.sampled_from(
    [
        b'","role":"assistant',
        b'","content":"y',
        b'"}],"max_tokens":7,"messages":[{"role":"user","content":"x',
        b'"}],"messages":[{"role":"user","content":"x',
        b'"}, {"role":"user","content":"x',
        b"\\u0061\\/",
        b"\xff",
    ]
)
"""What is put at a text's end, before its quotation mark: other parameters, another spelling, no UTF-8."""


@st.composite
def batches(draw: st.DrawFn) -> list[bytes]:
    """Draw the params of a batch's requests: of one frame or two, most of them with one text by the user."""
    frames = draw(st.lists(st.sampled_from(FRAMES), min_size=1, max_size=2))
    first_key = draw(st.sampled_from(["model", "messages"]))
    requests = []
    for _ in range(draw(st.integers(1, 12))):
        frame = frames[0] if draw(st.integers(0, 3)) else frames[-1]
        encode = plain_request if draw(st.integers(0, 3)) else any_request
        requests.append(draw(encode(frame, first_key)))
    return requests


@st.composite
def plain_request(draw: st.DrawFn, frame: dict[str, Any], first_key: str) -> bytes:
    text = draw(TEXTS)
    messages = [{"role": "user", "content": text}]
    encoded = encode_params(frame, messages, first_key)
    if draw(st.integers(0, 3)):
        return encoded
    content = b'"content":%b' % json.dumps(text).encode()
    changed_content = content[:-1] + draw(ENDINGS) + b'"'
    return encoded.replace(content, changed_content)


@st.composite
def any_request(draw: st.DrawFn, frame: dict[str, Any], first_key: str) -> bytes:
    return encode_params(frame, draw(MESSAGES), first_key)


def encode_params(frame: dict[str, Any], messages: Any, first_key: str) -> bytes:
    """Return params as JSON, with one key before all others."""
    params = {**frame, "messages": messages}
    params = {first_key: params[first_key], **params}
    return json.dumps(params, separators=(",", ":")).encode()


def answer(params: dict[str, Any]) -> Answer:
    """Answer in every way that a responder may, by the text, and change the params; for some texts deeply."""
    content = params["messages"][-1]["content"]
    choice = len(content) % 6
    answers: list[Answer] = [
        f"answer € to {content}",
        {"params": json.dumps(params)},
        Reply("a reply", stop_reason="pause_turn", output_tokens=77),
        Failure("overloaded_error", "Overloaded"),
        "",
    ]
    if choice == 0:
        params.get("output_config", {}).clear()
    params["messages"][0].pop("role")
    params.clear()
    return answers[choice]


def worked_out(
    requests: list[bytes], faults: tuple[Fault, ...]
) -> tuple[list[bytes], BatchAnswers]:
    """Work out a batch; return its lines, without the messages' random ids, and its answers."""
    timeline = Timeline(created_at=0.0, duration=600.0, expires_at=86_400.0)
    sent_batch = Batch(BatchId("b"), 1, len(requests), 0, timeline, faults=faults)
    items = (
        b'{"custom_id":"row-%d","params":%b}' % (number, request)
        for number, request in enumerate(requests)
    )
    with TemporaryDirectory() as folder:
        body = Path(folder, "body")
        lines = Path(folder, "lines")
        body.write_bytes(b'{"requests":[%b]}' % b",".join(items))
        job = Job(sent_batch, body, lines, None, BatchDuration(), 0)
        for _ in work(job, Answerer(answer, PromptCache())):
            pass
        assert sent_batch.answers is not None
        return MESSAGE_ID.sub(b"", lines.read_bytes()).splitlines(), sent_batch.answers


ONE_AFTER_THE_OTHER = [
    encode_params(FRAMES[-1], [{"role": "user", "content": number * "x"}], "model")
    for number in range(1, 40)
]


@given(batches())
@example(ONE_AFTER_THE_OTHER)
def test_the_plain_way_and_the_general_way_give_the_same(requests: list[bytes]) -> None:
    lines, answers = worked_out(requests, faults=())
    general_lines, general_answers = worked_out(requests, faults=(NO_FAULT,))
    assert lines == general_lines
    assert answers == general_answers
