"""The books: what was bought, what was bought twice, and where."""


def test_requests_of_the_same_content_are_found_whatever_their_custom_id_or_order_of_keys(
    desk,
):
    params = desk.params("the same", system="s")
    shuffled = dict(reversed(params.items()))
    one = desk.create(
        [
            {"custom_id": "a", "params": params},
            {"custom_id": "b", "params": desk.params("other")},
        ]
    )
    two = desk.create([{"custom_id": "c", "params": shuffled}])
    for batch in (one, two):
        desk.ended(batch.id)
    bought = desk.emulator.books()["bought"]
    assert (bought["requests"], bought["distinct"], bought["twice"]) == (3, 2, 1)
    assert (bought["twice_within_a_batch"], bought["twice_across_batches"]) == (0, 1)
    (duplicate,) = bought["duplicates"]
    assert duplicate["times"] == 2
    assert duplicate["places"] == [
        {"batch_id": one.id, "custom_id": "a"},
        {"batch_id": two.id, "custom_id": "c"},
    ]


def test_a_content_that_comes_twice_in_one_batch_is_counted_apart(desk):
    twins = [{"custom_id": name, "params": desk.params("twin")} for name in "ab"]
    desk.run([*twins, *desk.items(1)])
    desk.run(twins)
    bought = desk.emulator.books()["bought"]
    assert (bought["requests"], bought["distinct"], bought["twice"]) == (5, 2, 3)
    assert (bought["twice_within_a_batch"], bought["twice_across_batches"]) == (2, 1)


def test_cache_control_makes_no_other_content(desk):
    block = {"type": "text", "text": "shared"}
    for system in ([block], [{**block, "cache_control": {"type": "ephemeral"}}]):
        desk.ask("same", system=system)
    assert desk.emulator.books()["bought"]["distinct"] == 1


def test_another_word_or_another_setting_is_another_content(desk):
    for change in ({}, {"max_tokens": 9}, {"system": "s"}, {"temperature": 0.5}):
        desk.ask("same", **change)
    assert desk.emulator.books()["bought"]["distinct"] == 4


def test_what_errs_or_is_canceled_is_accepted_but_not_bought(desk):
    desk.emulator.faults({"where": "row", "what": "errored", "count": 1})
    for _ in range(2):
        desk.ask("again")
    books = desk.emulator.books()
    assert (books["accepted"]["requests"], books["accepted"]["twice"]) == (2, 1)
    assert (books["bought"]["requests"], books["bought"]["twice"]) == (1, 0)
    assert books["requests"] == {
        "accepted": 2, "processing": 0, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 0,
    }  # fmt: skip


def test_what_runs_is_accepted_and_not_yet_bought(desk):
    desk.emulator.faults({"where": "batch", "what": "slow"})
    desk.create(desk.items(4))
    books = desk.emulator.books()
    assert (books["accepted"]["requests"], books["bought"]["requests"]) == (4, 0)
    assert books["queue"]["now"] == 4
    assert books["batches"] == {"created": 1, "in_progress": 1}


def test_a_canceled_batch_bills_only_what_was_answered(desk):
    desk.emulator.faults({"where": "batch", "what": "slow", "seconds": 100})
    batch = desk.create(desk.items(10))
    desk.emulator.advance(50)
    desk.client.messages.batches.cancel(batch.id)
    desk.emulator.advance(10)
    messages = [
        row["result"]["message"]
        for row in desk.rows(batch.id)
        if row["result"]["type"] == "succeeded"
    ]
    output = [message["usage"]["output_tokens"] for message in messages]
    books = desk.emulator.books()
    assert len(output) == 5
    assert books["usage"]["claude-haiku-4-5"]["output_tokens"] == sum(output)
    assert books["by_batch"][0]["cost_usd"] == books["cost_usd"] > 0


def test_calls_are_counted_by_endpoint_and_outcome(desk):
    batch = desk.create(desk.items(1))
    desk.ended(batch.id)
    desk.emulator.faults({"where": "list", "what": "overloaded", "nth": 2})
    for _ in range(2):
        desk.http.get("/v1/messages/batches")
    desk.rows(batch.id)
    calls = desk.emulator.books()["calls"]
    assert calls["create"] == {"200": 1}
    assert calls["list"] == {"200": 1, "529": 1}
    assert calls["results"] == {"200": 1}
    assert calls["retrieve"]["200"] >= 1


def test_the_queues_peak_is_remembered(desk):
    for _ in range(2):
        desk.run(desk.items(3))
    assert desk.emulator.books()["queue"]["peak"] == 3


def test_usage_and_cost_are_summed_by_model(desk):
    desk.ask(model="claude-haiku-4-5")
    desk.ask(model="claude-opus-5-5")
    books = desk.emulator.books()
    assert set(books["usage"]) == {"claude-haiku-4-5", "claude-opus-5-5"}
    costs = [usage["cost_usd"] for usage in books["usage"].values()]
    assert round(sum(costs), 9) == books["cost_usd"] > 0


def test_each_batch_has_its_line(desk):
    batch = desk.create(desk.items(3))
    desk.ended(batch.id)
    (line,) = desk.emulator.books()["by_batch"]
    assert (
        line["id"],
        line["requests"],
        line["status"],
        line["counts"]["succeeded"],
    ) == (batch.id, 3, "ended", 3)
    assert line["bytes"] > 300


def test_a_deleted_batch_stays_in_the_books(desk):
    batch = desk.create(desk.items(2))
    desk.ended(batch.id)
    desk.client.messages.batches.delete(batch.id)
    books = desk.emulator.books()
    assert books["bought"]["requests"] == 2
    assert books["by_batch"][0]["status"] == "deleted"


def test_a_reset_forgets_everything(desk):
    desk.run(desk.items(2))
    desk.emulator.faults({"where": "list", "what": "overloaded"})
    desk.emulator.advance(1_000)
    desk.emulator.reset()
    books = desk.emulator.books()
    assert set(books["requests"].values()) == {0}
    assert books["faults"] == books["by_batch"] == []
    assert books["calls"] == {}
    assert desk.http.get("/_emulator/clock").json()["offset"] == 0
