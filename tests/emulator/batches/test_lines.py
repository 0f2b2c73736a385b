"""Result lines, byte for byte: of requests that differ in their texts alone, and of others among them."""

import json
import re

import pytest

from nightbatch.emulator.settings import BatchDuration, Settings

ECHO = """
def answer(params):
    return "answer: " + params["messages"][-1]["content"][-4:]
"""
SYSTEM = "Some instructions that all requests share. " * 500
TEMPLATE = (
    '{"custom_id":"%s","result":{"type":"succeeded","message":{"id":"msg_ID","type":"message","role":"assistant",'
    '"model":"claude-haiku-4-5-20251001","content":[{"type":"text","text":"answer: %s"}],"stop_reason":"end_turn",'
    '"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,'
    '"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},'
    '"output_tokens":%d,"service_tier":"batch","inference_geo":"global"}}}}'
)


@pytest.fixture
def echo_desk(open_desk, monkeypatch, tmp_path):
    (tmp_path / "echo.py").write_text(ECHO)
    monkeypatch.syspath_prepend(tmp_path)
    settings = Settings(responder="echo:answer", pace=BatchDuration(0.01))
    with open_desk(settings) as desk:
        yield desk


def lines_of(desk, requests):
    batch = desk.create(requests)
    desk.ended(batch.id)
    results = desk.http.get(f"/v1/messages/batches/{batch.id}/results").text
    results = re.sub(r'"msg_01[0-9a-f]{22}"', '"msg_ID"', results)
    return sorted(results.splitlines())


def test_each_text_has_its_own_line_with_its_answer_and_its_tokens(echo_desk):
    texts = {"a": "some text no 1", "b": 'say "ü"', "c": "line\none", "d": "字" * 40}
    requests = [
        {"custom_id": name, "params": echo_desk.params(text)}
        for name, text in texts.items()
    ]
    assert lines_of(echo_desk, requests) == [
        TEMPLATE % ("a", "no 1", 11, 3),
        TEMPLATE % ("b", ' \\"ü\\"', 10, 4),
        TEMPLATE % ("c", "\\none", 9, 3),
        TEMPLATE % ("d", "字字字字", 57, 7),
    ]


def test_a_request_of_another_kind_among_them_changes_no_other_line(echo_desk):
    alike = [
        {"custom_id": f"row-{number}", "params": echo_desk.params(f"text {number}")}
        for number in range(10, 40)
    ]
    bad_params = echo_desk.params("")
    other_params = echo_desk.params("text 0", stop_sequences=["answer"])
    others = [
        {"custom_id": "bad", "params": bad_params},
        {"custom_id": "other", "params": other_params},
    ]
    lines = lines_of(echo_desk, alike + others)
    assert set(lines_of(echo_desk, alike)) < set(lines)
    results = {row["custom_id"]: row["result"] for row in map(json.loads, lines)}
    assert results["bad"]["type"] == "errored"
    assert results["other"]["message"]["stop_reason"] == "stop_sequence"


def test_a_text_that_is_too_long_is_an_error_among_others_that_are_not(echo_desk):
    requests = echo_desk.items(20)
    long_text = "字" * 170_000
    requests[7]["params"] = echo_desk.params(long_text)
    results = echo_desk.run(requests)
    error = results["row-7"]["error"]["error"]
    kinds = [result["type"] for result in results.values()]
    assert error["message"] == "prompt is too long: 212507 tokens > 200000 maximum"
    assert kinds.count("succeeded") == 19


def test_a_cached_system_part_is_billed_as_the_lines_say(echo_desk):
    system = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]
    results = echo_desk.run(echo_desk.items(40, system=system))
    billed = echo_desk.emulator.books()["usage"]["claude-haiku-4-5"]
    usages = [result["message"]["usage"] for result in results.values()]
    read_tokens = [usage["cache_read_input_tokens"] for usage in usages]
    written_tokens = [usage["cache_creation_input_tokens"] for usage in usages]
    assert set(read_tokens) == set(written_tokens) == {0, 5_375}
    assert billed["cache_read_tokens"] == sum(read_tokens)
    assert billed["cache_write_5m_tokens"] == sum(written_tokens)


def test_a_text_that_is_not_utf_8_is_an_errored_row_among_others(echo_desk):
    body = json.dumps({"requests": echo_desk.items(9)}).encode()
    broken_body = body.replace(b"row 4", b"row \xff")
    headers = {"content-type": "application/json"}
    answer = echo_desk.http.post(
        "/v1/messages/batches", content=broken_body, headers=headers
    )
    batch_id = answer.raise_for_status().json()["id"]
    counts = echo_desk.ended(batch_id)["request_counts"]
    assert (counts["succeeded"], counts["errored"]) == (8, 1)
