"""Room in the account's queue: who may send next, and that nobody sends beyond the cap."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import pytest
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import BatchDuration as Speed
from nightbatch.emulator.settings import Limits, Settings
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.ledger.facts import PlannedShard
from nightbatch.ports import Batch
from nightbatch.spec.rules import Rules
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.outcome import Late, Later, Submitted
from nightbatch.submit.room.queue import (
    HeldRoom,
    QueuePosition,
    admit,
    fits,
    held_room,
    queued,
)
from nightbatch.submit.room.turns import QueueLimit
from nightbatch.submit.submit import Submitter
from nightbatch.wait.line import WaitingLine
from nightbatch.wait.pace import PollTiming

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def place(order: str, total: int = 10, cap: int = 30, **more: Any) -> QueuePosition:
    return QueuePosition(order, total, cap, **more)


def batch(name: str, processing: int = 0, **counts: int) -> Batch:
    return Batch(
        BatchId(name), NOW, not processing, {"processing": processing, **counts}
    )


def orders(places: list[QueuePosition]) -> list[str]:
    return [one.order for one in places]


def test_as_many_are_admitted_as_fit() -> None:
    assert orders(admit([place("a"), place("b"), place("c")], 10, NOW)) == ["a", "b"]


def test_the_order_is_that_of_the_claims_not_that_of_arrival() -> None:
    assert orders(admit([place("c"), place("a"), place("b")], 20, NOW)) == ["a"]


def test_nobody_is_overtaken_into_the_room_that_he_waits_for() -> None:
    assert admit([place("a", total=30), place("b", total=5)], 10, NOW) == []


def test_a_wider_cap_does_not_wait_for_a_narrower_one() -> None:
    assert orders(admit([place("a", cap=5), place("b", cap=100)], 40, NOW)) == ["b"]


def test_a_shard_larger_than_its_cap_goes_when_the_queue_is_empty() -> None:
    assert fits(place("a", total=50), 0)
    assert not fits(place("a", total=50), 1)


def test_after_a_full_queue_the_first_of_the_line_tries_again_in_its_time() -> None:
    line = [place("a", cap=0, full_until=NOW), place("b", cap=0, full_until=NOW)]
    assert admit(line, 0, NOW - SECOND) == []
    assert orders(admit(line, 0, NOW)) == ["a"]


def test_what_is_in_the_queue_is_what_has_not_ended_whoever_sent_it() -> None:
    assert (
        queued(
            [
                batch("a", processing=7),
                batch("b", succeeded=9),
                batch("c", processing=2),
            ]
        )
        == 9
    )


def test_room_is_held_until_the_batch_turns_up_or_for_a_time() -> None:
    held = [
        HeldRoom("a", 5, frozenset({"old"}), NOW + SECOND),
        HeldRoom("b", 5, frozenset(), NOW - SECOND),
    ]
    assert held_room(held, [batch("old", processing=5)], NOW) == held[:1]
    assert held_room(held, [batch("new", processing=5)], NOW) == []


def test_the_line_lets_through_in_order_and_holds_the_room() -> None:
    async def scenario() -> tuple[list[bool], list[bool], list[bool]]:
        line = WaitingLine(PollTiming())
        waits = [line.join(place(order), 60.0) for order in "cab"]
        steps = []
        for queue in (10, 10, 0):
            line.settle(
                [batch("x", processing=queue)] if queue else [batch("x", succeeded=1)],
                NOW,
            )
            steps.append([wait.done() for wait in waits])
        return steps[0], steps[1], steps[2]

    assert asyncio.run(scenario()) == (
        [False, True, True],
        [False, True, True],
        [True, True, True],
    )


def test_two_runs_that_wait_for_one_claim_are_both_let_through() -> None:
    async def scenario() -> list[bool]:
        line = WaitingLine(PollTiming())
        waits = [line.join(place("a"), 60.0), line.join(place("a"), 60.0)]
        line.settle([], NOW)
        return [wait.done() for wait in waits]

    assert asyncio.run(scenario()) == [True, True]


def test_one_of_two_waits_for_a_claim_may_leave() -> None:
    async def scenario() -> list[bool]:
        line = WaitingLine(PollTiming())
        one, other = (line.join(place("a"), 60.0) for _ in range(2))
        line.leave(place("a"), one)
        line.settle([], NOW)
        return [one.done(), other.done(), line.due is None]

    assert asyncio.run(scenario()) == [False, True, True]


def test_after_a_full_queue_there_is_room_when_it_is_shorter_by_the_shard() -> None:
    async def scenario() -> list[bool]:
        line = WaitingLine(PollTiming())
        wait = line.join(
            place("a", cap=1_000, full_until=NOW + timedelta(hours=1)), 60.0
        )
        steps = []
        for queue in (100, 95, 90):
            line.settle([batch("x", processing=queue)], NOW)
            steps.append(wait.done())
        return steps

    assert asyncio.run(scenario()) == [False, False, True]


@dataclass
class Desk:
    """A run whose shards are claimed in memory, and an emulated account that they are sent to."""

    flow: Flow
    ref: RunRef
    shards: list[PlannedShard]
    emulator: Emulator

    def buyer(self, *, admitted: bool = False, late: Late | None = None) -> Submitter:
        client = anthropic.Anthropic(base_url=self.emulator.url, api_key="sk-test")
        rule = QueueLimit(self.ref.rules.max_in_flight_requests, admitted)
        return Submitter(
            self.flow.ledger,
            AnthropicBatches(client),
            lambda: datetime.now(UTC),
            SubmitTiming(look=0.05),
            rule,
            late,
        )

    def stranger(self, requests: int) -> None:
        """Send a batch that is nobody's here."""
        params: Any = {
            "model": "claude-haiku-4-5",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        items: Any = [
            {"custom_id": f"r{number}", "params": params} for number in range(requests)
        ]
        anthropic.Anthropic(
            base_url=self.emulator.url, api_key="sk-test"
        ).messages.batches.create(requests=items)


def desk(emulator: Emulator, count: int, *, deadline: str = "", **more: Any) -> Desk:
    emulator.reset()
    world = MemoryWorld()
    put(
        world.store(SOURCE),
        "dt=1/part-0.parquet",
        rows([f"text {number}" for number in range(count)]),
    )
    flow = Flow(world, settings(**more))
    ref = replace(flow.prepare(), deadline=deadline)
    return Desk(flow, ref, flow.plan(ref), emulator)


@pytest.fixture(scope="module")
def slow() -> Iterator[Emulator]:
    """Run an emulator whose batches last an hour."""
    with running(Settings(pace=Speed(seconds=3_600))) as emulator:
        yield emulator


def test_no_shard_is_cut_larger_than_the_cap(slow: Emulator) -> None:
    assert [
        planned.requests for planned in desk(slow, 25, max_in_flight_requests=10).shards
    ] == [10, 10, 5]


def test_a_submit_without_room_waits_in_its_place(slow: Emulator) -> None:
    one = desk(slow, 20, max_in_flight_requests=10)
    one.stranger(1)
    later = one.buyer().submit(one.shards[0].shard)
    assert isinstance(later, Later)
    assert later.place is not None
    assert (later.place.total, later.place.cap) == (10, 10)
    assert one.emulator.books()["batches"]["created"] == 1


def test_a_claim_lets_older_ones_go_first_until_the_line_has_let_it_through(
    slow: Emulator,
) -> None:
    one = desk(slow, 20, max_in_flight_requests=10)
    first, second = (planned.shard for planned in one.shards)
    assert isinstance(one.buyer().submit(second), Later)
    assert isinstance(one.buyer(admitted=True).submit(second), Submitted)
    assert isinstance(one.buyer(admitted=True).submit(first), Later)


def test_who_did_not_stand_in_line_leaves_the_second_half_of_the_queue_to_those_who_do(
    slow: Emulator,
) -> None:
    one = desk(slow, 10, max_in_flight_requests=20)
    one.stranger(4)
    (planned,) = one.shards
    assert isinstance(one.buyer().submit(planned.shard), Later)
    assert isinstance(one.buyer(admitted=True).submit(planned.shard), Submitted)


def test_a_shard_larger_than_the_cap_waits_until_the_queue_is_empty(
    slow: Emulator,
) -> None:
    one = desk(slow, 10)
    one.stranger(1)
    one.ref = replace(one.ref, rules=Rules(max_in_flight_requests=5))
    (planned,) = one.shards
    assert isinstance(one.buyer(admitted=True).submit(planned.shard), Later)
    slow.advance(6 * 3_600)
    assert isinstance(one.buyer(admitted=True).submit(planned.shard), Submitted)


def test_a_post_that_may_be_under_way_takes_its_room(slow: Emulator) -> None:
    one = desk(slow, 20, max_in_flight_requests=15)
    one.emulator.faults({"where": "create", "what": "drop_before", "count": 1})
    first, second = (planned.shard for planned in one.shards)
    assert isinstance(one.buyer().submit(first), Later)
    later = one.buyer(admitted=True).submit(second)
    assert isinstance(later, Later)
    assert later.place is not None


def test_a_full_queue_is_waited_for_in_line_and_nothing_is_burnt(
    slow: Emulator,
) -> None:
    one = desk(slow, 5)
    one.emulator.faults({"where": "create", "what": "queue_full", "count": 1})
    (planned,) = one.shards
    later = one.buyer().submit(planned.shard)
    assert isinstance(later, Later)
    assert later.place is not None
    assert later.place.full_until is not None
    assert isinstance(one.buyer(admitted=True).submit(planned.shard), Submitted)


def test_at_the_deadline_what_was_not_sent_is_given_up(slow: Emulator) -> None:
    one = desk(slow, 5)
    outcome = one.buyer(late=Late(owned=True)).submit(one.shards[0].shard)
    assert outcome == Submitted(BatchId(""))
    assert one.emulator.books()["batches"]["created"] == 0
    assert one.flow.ledger.view().in_flight == []


def test_at_the_deadline_what_another_run_has_claimed_is_left_to_it(
    slow: Emulator,
) -> None:
    one = desk(slow, 5)
    late = Late(owned=False)
    assert one.buyer(late=late).submit(one.shards[0].shard) == late
    assert isinstance(one.buyer().submit(one.shards[0].shard), Submitted)


def test_after_the_deadline_nothing_more_is_claimed(slow: Emulator) -> None:
    one = desk(slow, 5, deadline="2026-11-20T00:00:00+00:00")
    assert one.shards == []
    assert one.flow.ledger.view().claimed == []


def test_many_senders_at_once_never_pass_the_cap_and_buy_everything_once() -> None:
    cap, count = 20, 60
    with running(
        Settings(pace=Speed(seconds=0.05), limits=Limits(requests_per_minute=1_000_000))
    ) as quick:
        one = desk(quick, count, max_in_flight_requests=cap, max_batch_requests=6)

        def send(planned: PlannedShard) -> None:
            admitted = False
            while isinstance(one.buyer(admitted=admitted).submit(planned.shard), Later):
                admitted = True
                time.sleep(0.05)

        threads = [
            threading.Thread(target=send, args=(planned,))
            for planned in reversed(one.shards)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        books = quick.books()
    assert books["queue"]["peak"] <= cap
    assert books["accepted"]["requests"] == count
    assert books["accepted"]["twice"] == 0
