"""The wire: what every endpoint takes and says."""

import re
from datetime import datetime

import anthropic
import httpx
import pytest

from nightbatch.emulator.settings import BatchDuration, Settings

VERSION = {"anthropic-version": "2023-06-01"}


def test_a_batch_is_created_runs_and_ends_with_counts_that_tally_only_then(desk):
    batch = desk.create(desk.items(3))
    assert batch.id.startswith("msgbatch_")
    assert batch.processing_status == "in_progress"
    assert batch.request_counts.processing == 3
    assert batch.results_url is None
    ended = desk.ended(batch.id)
    assert ended["request_counts"] == {
        "processing": 0,
        "succeeded": 3,
        "errored": 0,
        "canceled": 0,
        "expired": 0,
    }
    assert (
        ended["results_url"]
        == f"{desk.emulator.url}/v1/messages/batches/{batch.id}/results"
    )


def test_a_batch_has_every_field_and_sends_its_nulls(desk):
    wire = desk.post(desk.items(1)).json()
    assert set(wire) == {
        "id", "type", "processing_status", "request_counts", "ended_at", "created_at", "expires_at", "archived_at",
        "cancel_initiated_at", "results_url",
    }  # fmt: skip
    assert wire["type"] == "message_batch"
    assert [
        wire[name]
        for name in ("ended_at", "archived_at", "cancel_initiated_at", "results_url")
    ] == [None] * 4


def test_a_batch_expires_a_day_after_its_creation(desk):
    batch = desk.create(desk.items(1))
    assert (batch.expires_at - batch.created_at).total_seconds() == 86_400


def test_both_ways_of_authentication_are_taken(desk):
    for headers in ({"authorization": "Bearer key"}, {"x-api-key": "key"}):
        assert (
            anonymous(desk)
            .get("/v1/messages/batches", headers=VERSION | headers)
            .status_code
            == 200
        )


def test_without_a_key_nobody_gets_in(desk):
    answer = anonymous(desk).get("/v1/messages/batches", headers=VERSION)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


def test_without_a_version_the_call_is_refused(desk):
    answer = anonymous(desk).get("/v1/messages/batches", headers={"x-api-key": "key"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "anthropic-version: header is required"


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_both_versions_of_the_api_are_taken(desk, version):
    assert (
        desk.http.get(
            "/v1/messages/batches", headers={"anthropic-version": version}
        ).status_code
        == 200
    )


def test_a_version_that_is_no_date_is_refused(desk):
    assert (
        desk.http.get(
            "/v1/messages/batches", headers={"anthropic-version": "latest"}
        ).status_code
        == 400
    )


def test_a_request_id_is_on_every_response_and_in_every_error(desk):
    batch = desk.create(desk.items(1))
    desk.ended(batch.id)
    for path in ("", f"/{batch.id}", f"/{batch.id}/results", "/msgbatch_nobody"):
        assert (
            desk.http.get(f"/v1/messages/batches{path}")
            .headers["request-id"]
            .startswith("req_")
        )
    error = desk.http.get("/v1/messages/batches/msgbatch_nobody")
    assert error.json()["request_id"] == error.headers["request-id"]


def test_the_sdk_raises_the_error_that_was_meant(desk):
    with pytest.raises(anthropic.NotFoundError) as raised:
        desk.client.messages.batches.retrieve("msgbatch_nobody")
    assert raised.value.type == "not_found_error"
    assert raised.value.request_id


def test_a_poll_of_a_running_batch_hints_how_soon_to_ask_again(desk):
    desk.emulator.faults({"where": "batch", "what": "slow"})
    batch = desk.create(desk.items(1))
    assert (
        desk.http.get(f"/v1/messages/batches/{batch.id}").headers["retry-after"] == "10"
    )


def test_a_poll_of_an_ended_batch_gives_no_hint(desk):
    batch = desk.create(desk.items(1))
    desk.ended(batch.id)
    assert (
        "retry-after" not in desk.http.get(f"/v1/messages/batches/{batch.id}").headers
    )


def test_results_before_the_end_are_not_found_and_not_worth_a_retry(desk):
    desk.emulator.faults({"where": "batch", "what": "slow"})
    batch = desk.create(desk.items(1))
    answer = desk.http.get(f"/v1/messages/batches/{batch.id}/results")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"
    assert answer.headers["x-should-retry"] == "false"


def test_results_are_json_lines_in_an_order_of_their_own(desk):
    requests = desk.items(50)
    batch = desk.create(requests)
    desk.ended(batch.id)
    answer = desk.http.get(f"/v1/messages/batches/{batch.id}/results")
    assert answer.headers["content-type"] == "application/x-jsonl"
    ids = [row["custom_id"] for row in desk.rows(batch.id)]
    sent = [item["custom_id"] for item in requests]
    assert ids != sent
    assert sorted(ids) == sorted(sent)


def test_the_sdk_reads_results_as_models(desk):
    batch = desk.create(desk.items(4))
    desk.ended(batch.id)
    results = list(desk.client.messages.batches.results(batch.id))
    assert {result.result.type for result in results} == {"succeeded"}
    assert {result.result.message.usage.service_tier for result in results} == {"batch"}


def test_results_are_compressed_for_clients_that_accept_it_if_asked(open_desk):
    with open_desk(Settings(gzip=True, pace=BatchDuration(0.01))) as desk:
        batch = desk.create(desk.items(20))
        desk.ended(batch.id)
        answer = desk.http.get(
            f"/v1/messages/batches/{batch.id}/results",
            headers={"accept-encoding": "gzip"},
        )
        assert answer.headers["content-encoding"] == "gzip"
        assert len(answer.text.splitlines()) == 20


def test_results_may_come_as_another_type(open_desk):
    with open_desk(
        Settings(results_type="application/octet-stream", pace=BatchDuration(0.01))
    ) as desk:
        batch = desk.create(desk.items(1))
        desk.ended(batch.id)
        answer = desk.http.get(f"/v1/messages/batches/{batch.id}/results")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_batches_are_listed_newest_first(desk):
    made = [desk.create(desk.items(1)).id for _ in range(3)]
    page = desk.http.get("/v1/messages/batches").json()
    assert [batch["id"] for batch in page["data"]] == made[::-1]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (
        made[2],
        made[0],
        False,
    )


def test_an_empty_list_has_no_ends(desk):
    page = desk.http.get("/v1/messages/batches").json()
    assert page == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_pages_lead_to_older_batches_and_back_to_newer_ones(desk):
    made = [desk.create(desk.items(1)).id for _ in range(5)]
    listing = "/v1/messages/batches"
    first = desk.http.get(listing, params={"limit": 2}).json()
    assert [batch["id"] for batch in first["data"]] == [made[4], made[3]]
    assert first["has_more"]
    second = desk.http.get(
        listing, params={"limit": 2, "after_id": first["last_id"]}
    ).json()
    assert [batch["id"] for batch in second["data"]] == [made[2], made[1]]
    back = desk.http.get(
        listing, params={"limit": 1, "before_id": second["first_id"]}
    ).json()
    assert [batch["id"] for batch in back["data"]] == [made[3]]
    assert back["has_more"]
    between = desk.http.get(
        listing, params={"after_id": made[4], "before_id": made[1]}
    ).json()
    assert [batch["id"] for batch in between["data"]] == [made[3], made[2]]


def test_the_sdk_walks_through_all_pages(desk):
    made = [desk.create(desk.items(1)).id for _ in range(5)]
    assert [batch.id for batch in desk.client.messages.batches.list(limit=2)] == made[
        ::-1
    ]


def test_beside_a_batch_that_nobody_knows_there_is_nothing(desk):
    desk.create(desk.items(1))
    page = desk.http.get(
        "/v1/messages/batches", params={"after_id": "msgbatch_nobody"}
    ).json()
    assert page["data"] == []
    assert not page["has_more"]


@pytest.mark.parametrize(
    ("limit", "status"),
    [("1", 200), ("1000", 200), ("0", 400), ("1001", 400), ("many", 400)],
)
def test_a_page_has_one_to_a_thousand_batches(desk, limit, status):
    assert (
        desk.http.get("/v1/messages/batches", params={"limit": limit}).status_code
        == status
    )


def test_a_canceled_batch_passes_through_canceling_and_ends_with_canceled_rows(desk):
    desk.emulator.faults({"where": "batch", "what": "slow", "seconds": 100})
    batch = desk.create(desk.items(10))
    desk.emulator.advance(50)
    canceling = desk.client.messages.batches.cancel(batch.id)
    assert canceling.processing_status == "canceling"
    assert canceling.cancel_initiated_at is not None
    desk.emulator.advance(1)
    counts = desk.ended(batch.id)["request_counts"]
    assert counts["succeeded"] == 5
    assert counts["canceled"] == 5
    assert (
        sorted(row["result"]["type"] for row in desk.rows(batch.id))
        == ["canceled"] * 5 + ["succeeded"] * 5
    )


def test_to_cancel_twice_is_to_cancel_once(desk):
    desk.emulator.faults({"where": "batch", "what": "slow"})
    batch = desk.create(desk.items(2))
    first = desk.client.messages.batches.cancel(batch.id)
    assert (
        desk.client.messages.batches.cancel(batch.id).cancel_initiated_at
        == first.cancel_initiated_at
    )


@pytest.mark.parametrize("status", [200, 400, 409])
def test_canceling_an_ended_batch_is_answered_as_the_settings_say(open_desk, status):
    with open_desk(Settings(cancel_ended=status, pace=BatchDuration(0.01))) as desk:
        batch = desk.create(desk.items(1))
        desk.ended(batch.id)
        assert (
            desk.http.post(f"/v1/messages/batches/{batch.id}/cancel").status_code
            == status
        )


def test_an_ended_batch_can_be_deleted_and_is_gone(desk):
    batch = desk.create(desk.items(1))
    desk.ended(batch.id)
    deleted = desk.client.messages.batches.delete(batch.id)
    assert (deleted.id, deleted.type) == (batch.id, "message_batch_deleted")
    assert desk.http.get(f"/v1/messages/batches/{batch.id}").status_code == 404
    assert desk.http.get("/v1/messages/batches").json()["data"] == []


def test_a_running_batch_cannot_be_deleted(desk):
    desk.emulator.faults({"where": "batch", "what": "slow"})
    batch = desk.create(desk.items(1))
    answer = desk.http.delete(f"/v1/messages/batches/{batch.id}")
    assert answer.status_code == 400
    assert "Cancel it first" in answer.json()["error"]["message"]


def test_tokens_are_counted_and_grow_with_the_text(desk):
    short, long = (
        desk.client.messages.count_tokens(
            model="claude-haiku-4-5", messages=[{"role": "user", "content": text}]
        )
        for text in ("word", "word " * 1_000)
    )
    assert long.input_tokens > 1_000 > short.input_tokens > 0


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v1/nothing", 404),
    ("PUT", "/v1/messages/batches", 405),
    ("GET", "/v1/messages/count_tokens", 405),
])  # fmt: skip
def test_what_is_not_there_says_so_in_json(desk, method, path, status):
    answer = desk.http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"


@pytest.mark.parametrize(("style", "form"), [
    ("zulu", r"\.\d{6}Z$"),
    ("offset", r"\.\d{6}\+00:00$"),
    ("seconds", r":\d\dZ$"),
])  # fmt: skip
def test_timestamps_come_in_all_the_forms_that_were_seen(open_desk, style, form):
    with open_desk(Settings(timestamps=style)) as desk:
        created = desk.post(desk.items(1)).json()["created_at"]
    assert re.search(form, created)
    assert datetime.fromisoformat(created).tzinfo is not None


def test_only_the_keys_that_were_named_open_the_door_if_any_were(open_desk):
    with open_desk(Settings(api_keys=frozenset({"sk-right"}))) as desk:
        assert desk.http.get("/v1/messages/batches").status_code == 401
        assert (
            desk.http.get(
                "/v1/messages/batches", headers={"x-api-key": "sk-right"}
            ).status_code
            == 200
        )
        right = VERSION | {"authorization": "Bearer sk-right"}
        assert (
            anonymous(desk).get("/v1/messages/batches", headers=right).status_code
            == 200
        )


def anonymous(desk):
    return httpx.Client(base_url=desk.emulator.url)
