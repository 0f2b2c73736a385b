"""Limits: so many calls a minute, so many requests in the queue; and time: a day to end in, 29 days of results."""

import time
from datetime import datetime

import anthropic
import pytest

from nightbatch.emulator.settings import DAY, BatchDuration, Limits, Settings


def test_a_call_too_many_in_a_minute_is_refused_with_the_time_to_wait(open_desk):
    with open_desk(Settings(limits=Limits(requests_per_minute=3))) as desk:
        answers = [desk.http.get("/v1/messages/batches") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20


def test_every_response_says_how_much_of_the_rate_is_left(open_desk):
    with open_desk(Settings(limits=Limits(requests_per_minute=50))) as desk:
        answers = [desk.http.get("/v1/messages/batches") for _ in range(2)]
    left = [
        int(answer.headers["anthropic-ratelimit-requests-remaining"])
        for answer in answers
    ]
    assert left == [49, 48]
    assert answers[0].headers["anthropic-ratelimit-requests-limit"] == "50"
    assert datetime.fromisoformat(
        answers[0].headers["anthropic-ratelimit-requests-reset"]
    )


def test_the_rate_refills_with_time(open_desk):
    with open_desk(Settings(limits=Limits(requests_per_minute=2))) as desk:
        for _ in range(3):
            last = desk.http.get("/v1/messages/batches")
        assert last.status_code == 429
        desk.emulator.advance(31)
        assert desk.http.get("/v1/messages/batches").status_code == 200


def test_all_batch_endpoints_share_one_rate_and_counting_tokens_has_its_own(open_desk):
    with open_desk(Settings(limits=Limits(requests_per_minute=2))) as desk:
        desk.post(desk.items(1))
        desk.http.get("/v1/messages/batches/msgbatch_nobody")
        assert desk.http.get("/v1/messages/batches").status_code == 429
        assert (
            desk.http.post("/v1/messages/count_tokens", json=desk.params()).status_code
            == 200
        )


def test_a_batch_that_the_queue_has_no_room_for_is_refused_until_there_is(open_desk):
    with open_desk(
        Settings(limits=Limits(queue=10), pace=BatchDuration(seconds=30))
    ) as desk:
        assert desk.post(desk.items(8)).status_code == 200
        refused = desk.post(desk.items(3))
        assert refused.status_code == 429
        assert "in the processing queue" in refused.json()["error"]["message"]
        assert refused.headers["retry-after"]
        assert desk.post(desk.items(2)).status_code == 200
        assert desk.emulator.books()["queue"] == {"now": 10, "peak": 10, "limit": 10}
        desk.emulator.advance(300)
        assert desk.post(desk.items(3)).status_code == 200


def test_the_sdk_sees_a_full_queue_as_a_rate_limit(open_desk):
    with (
        open_desk(Settings(limits=Limits(queue=1))) as desk,
        pytest.raises(anthropic.RateLimitError),
    ):
        desk.create(desk.items(2))


def test_a_batch_that_takes_longer_than_a_day_expires_with_what_it_has(desk):
    desk.emulator.faults({"where": "batch", "what": "slow", "seconds": 2 * DAY})
    batch = desk.create(desk.items(10))
    desk.emulator.advance(DAY - 10)
    assert desk.retrieve(batch.id)["processing_status"] == "in_progress"
    desk.emulator.advance(11)
    ended = desk.retrieve(batch.id)
    assert ended["processing_status"] == "ended"
    assert ended["request_counts"] == {
        "processing": 0,
        "succeeded": 5,
        "errored": 0,
        "canceled": 0,
        "expired": 5,
    }
    assert ended["ended_at"] == ended["expires_at"]
    assert (
        sorted(row["result"]["type"] for row in desk.rows(batch.id))
        == ["expired"] * 5 + ["succeeded"] * 5
    )


def test_results_are_kept_for_29_days_and_the_batch_for_longer(desk):
    batch = desk.create(desk.items(1))
    desk.ended(batch.id)
    desk.emulator.advance(29 * DAY - 60)
    assert len(desk.rows(batch.id)) == 1
    desk.emulator.advance(61)
    archived = desk.retrieve(batch.id)
    assert archived["processing_status"] == "ended"
    assert archived["archived_at"] is not None
    assert archived["results_url"] is None
    assert desk.http.get(f"/v1/messages/batches/{batch.id}/results").status_code == 404


def test_turning_the_clock_ends_what_falls_due(desk):
    desk.emulator.faults({"where": "batch", "what": "slow", "seconds": 3_600})
    batch = desk.create(desk.items(500))
    desk.emulator.advance(3_601)
    assert desk.retrieve(batch.id)["request_counts"]["succeeded"] == 500


def test_a_clock_can_be_five_minutes_off(open_desk):
    began = time.time()
    with open_desk(Settings(clock_offset=-300)) as desk:
        created = desk.create(desk.items(1)).created_at.timestamp()
    assert began - 1 <= created + 300 <= time.time() + 1


def test_a_batch_lasts_longer_the_more_it_holds():
    pace = BatchDuration(seconds=1)
    assert [round(pace.duration(count)) for count in (1, 10, 1_000, 100_000)] == [
        1,
        2,
        4,
        6,
    ]
