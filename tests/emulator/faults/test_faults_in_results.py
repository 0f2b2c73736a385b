"""Faults in a stream of results: how it ends, and what stands in it."""

import json

import httpx
import httpx2
import pytest

ROWS = 40


@pytest.fixture
def batch(desk):
    made = desk.create(desk.items(ROWS))
    desk.ended(made.id)
    return made


def read(desk, batch, fault):
    """Return what arrives of the results, with a fault, and how it ended."""
    desk.emulator.faults({"where": "results", **fault}, replace=True)
    received, ended = b"", None
    with desk.http.stream(
        "GET", f"/v1/messages/batches/{batch.id}/results", timeout=1
    ) as response:
        try:
            for chunk in response.iter_raw():
                received += chunk
        except httpx.HTTPError as error:
            ended = type(error)
    return received, ended, response.headers


def lines(received):
    return [json.loads(line) for line in received.splitlines()]


def test_a_reset_connection_is_an_error_in_the_middle(desk, batch):
    received, ended, _ = read(desk, batch, {"what": "reset", "reset": True})
    assert ended in {httpx.ReadError, httpx.RemoteProtocolError}
    assert received.count(b"\n") < ROWS


def test_a_stream_cut_mid_line_ends_cleanly_with_half_a_line(desk, batch):
    received, ended, _ = read(desk, batch, {"what": "cut_mid_line"})
    assert ended is None
    assert 0 < received.count(b"\n") < ROWS
    assert not received.endswith(b"\n")


@pytest.mark.parametrize("close", [False, True])
def test_a_stream_cut_at_a_lines_end_shows_no_error_at_all(desk, batch, close):
    received, ended, headers = read(
        desk, batch, {"what": "cut_clean", "at": 0.7, "close": close}
    )
    assert ended is None
    assert received.endswith(b"\n")
    assert ROWS / 2 < len(lines(received)) < ROWS
    assert ("transfer-encoding" not in headers) is close
    assert "content-length" not in headers


def test_the_sdk_does_not_notice_a_clean_cut(desk, batch):
    desk.emulator.faults({"where": "results", "what": "cut_clean"})
    assert 0 < len(list(desk.client.messages.batches.results(batch.id))) < ROWS


def test_the_sdk_stumbles_over_half_a_line(desk, batch):
    desk.emulator.faults({"where": "results", "what": "cut_mid_line"})
    with pytest.raises(json.JSONDecodeError):
        list(desk.client.messages.batches.results(batch.id))


def test_a_body_shorter_than_its_length_is_a_protocol_error(desk, batch):
    received, ended, headers = read(desk, batch, {"what": "short"})
    assert ended is httpx.RemoteProtocolError
    assert 0 < len(received) < int(headers["content-length"])
    desk.emulator.faults({"where": "results", "what": "short"}, replace=True)
    with pytest.raises(httpx2.RemoteProtocolError):
        list(desk.client.messages.batches.results(batch.id))


def test_a_stream_may_stall_in_the_middle(desk, batch):
    received, ended, _ = read(desk, batch, {"what": "stall"})
    assert ended is httpx.ReadTimeout
    assert 0 < received.count(b"\n") < ROWS


def test_a_stream_that_stalls_for_a_while_goes_on(desk, batch):
    received, ended, _ = read(desk, batch, {"what": "stall", "seconds": 0.2})
    assert ended is None
    assert len(lines(received)) == ROWS


def test_a_garbled_line_is_no_json_and_the_others_are(desk, batch):
    received, _, _ = read(desk, batch, {"what": "garbled", "lines": 3})
    broken = [line for line in received.splitlines() if not is_json(line)]
    assert len(broken) == 3
    assert received.count(b"\n") == ROWS


def is_json(line):
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_lines_may_come_twice(desk, batch):
    received, _, _ = read(desk, batch, {"what": "duplicated", "share": 0.25})
    ids = [line["custom_id"] for line in lines(received)]
    assert len(ids) == ROWS + 10
    assert len(set(ids)) == ROWS


def test_lines_may_be_missing_and_the_counts_do_not_say_so(desk, batch):
    received, _, _ = read(desk, batch, {"what": "missing", "lines": 5})
    assert len(lines(received)) == ROWS - 5
    assert desk.retrieve(batch.id)["request_counts"]["succeeded"] == ROWS


def test_a_stranger_may_stand_among_the_ids(desk, batch):
    received, _, _ = read(desk, batch, {"what": "unknown_id"})
    strangers = [
        line for line in lines(received) if line["custom_id"].startswith("stranger-")
    ]
    assert len(strangers) == 1
    assert len(lines(received)) == ROWS + 1


def test_a_result_may_be_of_a_type_that_nobody_knows(desk, batch):
    received, _, _ = read(desk, batch, {"what": "unknown_type", "lines": 2})
    assert [line["result"]["type"] for line in lines(received)].count("deferred") == 2


def test_there_may_be_fields_that_nobody_knows(desk, batch):
    received, _, _ = read(desk, batch, {"what": "unknown_fields"})
    assert all(
        {"sequence", "custom_id", "result"} == set(line) for line in lines(received)
    )
    assert all(
        "reasoning_units" in line["result"]["message"]["usage"]
        for line in lines(received)
    )


def test_there_may_be_a_blank_line(desk, batch):
    received, _, _ = read(desk, batch, {"what": "blank"})
    assert received.splitlines().count(b"") == 1
    desk.emulator.faults({"where": "results", "what": "blank"}, replace=True)
    with pytest.raises(json.JSONDecodeError):
        list(desk.client.messages.batches.results(batch.id))


def test_damage_and_a_bad_end_can_come_together(desk, batch):
    desk.emulator.faults({"where": "results", "what": "duplicated", "lines": 40})
    received, ended, _ = read_more(desk, batch)
    assert ended is None
    assert len(lines(received)) == 2 * ROWS
    desk.emulator.faults({"where": "results", "what": "cut_clean", "at": 0.9})
    received, ended, _ = read_more(desk, batch)
    assert ROWS < len(lines(received)) < 2 * ROWS


def read_more(desk, batch):
    response = desk.http.get(f"/v1/messages/batches/{batch.id}/results")
    return response.content, None, response.headers


def test_the_next_download_is_whole_again(desk, batch):
    desk.emulator.faults({"where": "results", "what": "cut_clean", "nth": 1})
    assert len(desk.rows(batch.id)) < ROWS
    assert len(desk.rows(batch.id)) == ROWS


@pytest.mark.parametrize(
    "what", ["drop_before", "drop_after", "not_found", "timeout", "delay"]
)
@pytest.mark.parametrize("after", [False, True])
def test_what_can_happen_to_any_call_can_happen_to_results(desk, batch, what, after):
    desk.emulator.faults(
        {"where": "results", "what": what, "seconds": 2, "after": after}
    )
    try:
        status = desk.http.get(
            f"/v1/messages/batches/{batch.id}/results", timeout=0.3
        ).status_code
    except httpx.HTTPError as error:
        status = type(error)
    assert status in {404, 504, httpx.RemoteProtocolError, httpx.ReadTimeout}
