"""Buying once over ports in memory: each case by itself, judged by what the API has sold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from tests.support.crashes.case_table import Judged
from tests.support.nights.flow import (
    SOURCE,
    TARGET,
    Flow,
    published,
    put,
    rows,
    settings,
)
from tests.support.nights.memory import MemoryWorld

from nightbatch.errors import (
    ApiUnavailable,
    Incomplete,
    NotSent,
    ShardsFailed,
    StoreError,
)
from nightbatch.failpoints import watching
from nightbatch.ids import BatchId
from nightbatch.io.memory import MemoryStore
from nightbatch.io.memory_api import MemoryBatches
from nightbatch.land.land import land
from nightbatch.ledger.ledger import Ledger
from nightbatch.ports import Page
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.outcome import Late, Later, Submitted
from nightbatch.submit.release import InDoubt, release
from nightbatch.submit.submit import Submitter

HERE = "Single cases, in memory"
TEXTS = ["one", "two", "three", "two"]
ANSWERS = [f"about Say: {text}" for text in TEXTS]
DAY = 86_400.0


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world with one source partition."""
    made = MemoryWorld()
    put(made.store(SOURCE), "dt=1/part-0.parquet", rows(TEXTS))
    return made


@pytest.fixture
def flow(world: MemoryWorld) -> Flow:
    """Return a run over it."""
    return Flow(world)


def strangers(world: MemoryWorld, batches: int = 1, size: int = 3) -> None:
    """Let somebody else of the account buy batches of this size."""
    params = {
        "model": "claude-haiku-4-5",
        "messages": [{"role": "user", "content": "theirs"}],
    }
    for batch in range(batches):
        world.batches.add(
            [
                {"custom_id": f"theirs-{batch}-{row}", "params": params}
                for row in range(size)
            ]
        )


def is_whole(world: MemoryWorld, partition: str = "dt=1") -> bool:
    """Tell whether the published partition is that of an undisturbed run."""
    return [
        (row["answer"], row["_status"])
        for row in published(world.store(TARGET), partition)
    ] == [(answer, "answered") for answer in ANSWERS]


def claimed(flow: Flow) -> Any:
    """Bring a run to where its shard is claimed; return the shard."""
    return flow.plan(flow.prepare())[0].shard


def buyer(flow: Flow) -> Submitter:
    """Return who submits for a flow."""
    return Submitter(flow.ledger, flow.world.api(), flow.world.now, flow.world.timing)


def at(point: str, act: Callable[[], object]) -> Any:
    """Do something else when a point is first reached: whoever reached it stands still meanwhile."""
    left = [act]

    def watch(reached: str) -> None:
        if reached == point and left:
            left.pop()()

    return watching(watch)


def test_an_undisturbed_run_buys_each_distinct_request_once(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    report = flow.run()
    assert (report["bought"], report["answered"], len(world.batches.made)) == (3, 4, 1)
    assert is_whole(world)
    judged(HERE, "nothing goes wrong", "Each different request is bought once.", flow)


def test_a_second_run_buys_nothing(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    flow.run()
    second = Flow(world, buyer="dag/again")
    assert second.run()["bought"] == 0
    judged(HERE, "a run is started again", "All its answers are reused.", flow, second)


def test_a_lost_answer_is_found_again_by_its_custom_ids(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.faults.creates = ["lost"]
    flow.run()
    assert len(world.batches.made) == 1
    assert flow.ledger.batch(flow.ledger.view().claimed[0]).how == "adopted"  # type: ignore[union-attr]
    assert is_whole(world)
    judged(
        HERE,
        "the response to a create is lost",
        "The run waits for the batch, recognizes it by its custom_ids and takes it over.",
        flow,
    )


def test_a_create_that_never_arrived_is_sent_again_only_after_the_grace(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.faults.creates = ["dropped"]
    began = world.now()
    flow.run()
    grace = timedelta(seconds=world.timing.settle + world.timing.clock_slack)
    assert world.batches.made[0].created_at - began >= grace
    assert is_whole(world)
    judged(
        HERE,
        "a create never reaches the API",
        "No batch can be the claim's: the POST is sent again after the grace period.",
        flow,
    )


def test_a_sender_that_died_is_given_longer_than_one_that_told_its_end(
    world: MemoryWorld, flow: Flow
) -> None:
    shard = claimed(flow)
    began = world.now()
    with pytest.raises(ZeroDivisionError), at("post written", lambda: 1 / 0):
        buyer(flow).submit(shard)
    flow.submit(shard)
    t = world.timing
    assert world.now() - began >= timedelta(
        seconds=t.send + t.answer + t.settle + t.clock_slack
    )


def test_a_definite_no_is_sent_again_after_its_time(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.faults.creates = ["refused", "refused"]
    began = world.now()
    flow.run()
    assert (
        timedelta(seconds=60)
        <= world.batches.made[0].created_at - began
        < timedelta(seconds=600)
    )
    judged(
        HERE,
        "the API refuses for now (429, 529)",
        "The POST is sent again after the time in `retry-after`.",
        flow,
    )


def test_noes_without_end_are_raised_in_the_end(world: MemoryWorld, flow: Flow) -> None:
    world.timing = SubmitTiming(patience=600)
    world.batches.faults.creates = ["refused"] * 10_000
    began = world.now()
    with pytest.raises(NotSent):
        flow.run()
    assert world.now() - began > timedelta(seconds=600)


def test_strangers_of_the_same_size_are_awaited_and_left_alone(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    strangers(world, 3)
    world.batches.faults.creates = ["dropped"]
    shard = claimed(flow)
    flow.submit(shard)
    strangers(world, 2)
    flow.run()
    assert len(world.batches.made) == 6
    assert (
        max(world.batches.result_reads[batch.id] for batch in world.batches.made[:3])
        == 1
    )
    assert is_whole(world)
    judged(
        HERE,
        "other programs' batches have the same size",
        "The run waits for each of them, reads it once and does not take it over.",
        flow,
    )


def test_an_orphan_is_found_among_strangers(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    strangers(world, 2)
    world.batches.faults.creates = ["lost"]
    world.batches.arriving = lambda: strangers(world, 2)
    flow.run()
    assert len(world.batches.made) == 5
    judged(
        HERE,
        "an orphan among other programs' batches of the same size",
        "The run takes over only the batch that has the claim's custom_ids.",
        flow,
    )


def test_an_orphan_is_found_behind_more_than_a_page_of_batches(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.page_size = 10
    strangers(world, 15)
    world.clock.turn(DAY)
    world.batches.faults.creates = ["lost"]
    shard = claimed(flow)
    buyer(flow).submit(shard)
    strangers(world, 25, size=1)
    flow.run()
    assert len(world.batches.made) == 41
    judged(
        HERE,
        "more batches than fit on one page of the list",
        "The run reads page by page, back to the time of the claim.",
        flow,
    )


@pytest.mark.parametrize("offset", [-300.0, 300.0])
@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_clocks_may_be_five_minutes_apart(
    world: MemoryWorld, flow: Flow, judged: Judged, offset: float, fault: str
) -> None:
    world.offset = offset
    world.batches.faults.creates = [fault]
    flow.run()
    assert is_whole(world)
    judged(
        HERE,
        "clocks that differ by five minutes, in either direction",
        "The search allows for a larger difference.",
        flow,
    )


def test_an_orphan_that_expires_is_adopted_and_asked_again(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.faults.creates, world.batches.faults.rows = (
        ["lost"],
        {0: "expired", 1: "expired"},
    )
    flow.run()
    assert is_whole(world)
    assert [len(batch.requests) for batch in world.batches.made] == [3, 2]
    judged(
        HERE,
        "the requests of an orphan expire after 24 hours",
        "The run takes the batch over and sends only the expired requests again.",
        flow,
    )


def test_two_orphans_of_one_size_are_told_apart(
    world: MemoryWorld, judged: Judged
) -> None:
    flow = Flow(world, settings(max_batch_requests=1))
    world.batches.faults.creates = ["lost", "lost", "lost"]
    planned_shards = flow.plan(flow.prepare())
    for planned in planned_shards:
        buyer(flow).submit(planned.shard)
    flow.run()
    assert len(world.batches.made) == 3
    assert is_whole(world)
    judged(
        HERE,
        "several orphans of the same size",
        "Each claim takes over its own batch.",
        flow,
    )


def test_orphans_that_ask_the_same_are_shared_out(
    world: MemoryWorld, judged: Judged
) -> None:
    flows = [Flow(world, settings(reuse=False), buyer=f"dag/{name}") for name in "ab"]
    world.batches.faults.creates = ["lost", "lost"]
    shards = [claimed(flow) for flow in flows]
    for flow, shard in zip(flows, shards, strict=True):
        buyer(flow).submit(shard)
    adopted = {flow.submit(shard) for flow, shard in zip(flows, shards, strict=True)}
    assert len(adopted) == len(world.batches.made) == 2


def test_two_that_look_for_one_orphan_adopt_it_both(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.faults.creates = ["lost"]
    shard = claimed(flow)
    buyer(flow).submit(shard)
    world.clock.turn(7_200)
    other = Flow(world, buyer="dag/other")
    with at("owner written", lambda: other.submit(shard)):
        assert flow.submit(shard) == other.submit(shard)
    assert len(world.batches.made) == 1
    flow.run()
    judged(
        HERE,
        "two runs search for one orphan",
        "Both take it over; there is one fact.",
        flow,
    )


def test_a_zombie_that_sleeps_before_its_post_buys_nothing(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    shard, successor = claimed(flow), Flow(world, buyer="dag/successor")
    with at("post written", lambda: successor.submit(shard)):
        flow.submit(shard)
    assert len(world.batches.made) == 1
    flow.run()
    judged(
        HERE,
        "a process sleeps before its POST and continues late",
        "Its time limit for sending has passed: the body is never complete.",
        flow,
    )


def test_a_zombie_that_sleeps_in_its_post_buys_nothing(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    shard, successor = claimed(flow), Flow(world, buyer="dag/successor")
    with at("body sent but for its end", lambda: successor.submit(shard)):
        flow.submit(shard)
    assert len(world.batches.made) == 1
    flow.run()
    judged(
        HERE,
        "a process sleeps during its POST and continues late",
        "Its time limit for sending has passed: the end of the body is never sent.",
        flow,
    )


@pytest.mark.parametrize("point", ["batch created", "owner written"])
def test_a_zombie_that_wakes_after_its_successor_adopted_changes_nothing(
    world: MemoryWorld, flow: Flow, judged: Judged, point: str
) -> None:
    shard, successor = claimed(flow), Flow(world, buyer="dag/successor")
    with at(point, successor.run):
        batch = flow.submit(shard)
    assert [batch] == [one.id for one in world.batches.made]
    flow.run()
    judged(
        HERE,
        "a process sleeps after its POST; meanwhile another run takes the batch over",
        "It finds its own batch recorded.",
        flow,
        successor,
    )


def test_a_second_purchase_that_comes_to_light_is_told_and_kept(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    shard, successor = claimed(flow), Flow(world, buyer="dag/successor")
    acts = [lambda: successor.submit(shard)]
    world.batches.arriving = lambda: acts.pop()() and None if acts else None
    outcome = buyer(flow).submit(shard)
    first, late = (batch.id for batch in world.batches.made)
    assert isinstance(outcome, Submitted)
    assert outcome.batch == first
    assert f"bought twice, as {first} and {late}" in (outcome.warning or "")
    second = flow.ledger.view().claimed[-1]
    flow.run()
    flow.wait(flow.submit(second))
    flow.land(second)
    told = "The log says so; the second batch gets a claim of its own, and its answers land."
    judged(
        HERE,
        "the API creates a batch half an hour after the POST",
        told,
        flow,
        twice=3,
    )


def test_what_another_run_has_in_flight_is_joined(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    claimed(flow)
    other = Flow(world, buyer="dag/other")
    assert other.run()["bought"] == 0
    assert is_whole(world)
    judged(
        HERE,
        "a run ends after its claim; another run has the same rows",
        "The other run joins the claim and sends its POST.",
        flow,
        other,
    )


def test_two_partitions_with_the_same_prompts_are_bought_once(
    world: MemoryWorld, judged: Judged
) -> None:
    put(world.store(SOURCE), "dt=2/part-0.parquet", rows(TEXTS))
    one, two = Flow(world), Flow(world, settings("dt=2"), buyer="dag/two")
    with at("post written", lambda: two.plan(two.prepare())):
        one.run()
    two.run()
    assert len(world.batches.made) == 1
    assert is_whole(world, "dt=2")
    judged(
        HERE,
        "two partitions with the same prompts at the same time",
        "The second run joins the claim of the first.",
        one,
        two,
    )


def test_a_backfill_of_ten_buys_each_request_once(
    world: MemoryWorld, judged: Judged
) -> None:
    for day in range(2, 11):
        put(
            world.store(SOURCE),
            f"dt={day}/part-0.parquet",
            rows([*TEXTS, f"only {day}"]),
        )
    flows = [
        Flow(world, settings(f"dt={day}"), buyer=f"dag/{day}") for day in range(1, 11)
    ]
    running = [flow.steps() for flow in flows]
    while running:
        running = [steps for steps in running if next(steps, "end") != "end"]
    assert world.batches.bought().total() == 3 + 9
    judged(
        HERE,
        "a backfill of ten partitions at the same time",
        "Each shared request is bought by one of them.",
        *flows,
    )


def test_a_batch_canceled_in_the_console_is_asked_again(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    batch = flow.submit(claimed(flow))
    world.batches.cancel(batch)
    flow.run()
    assert is_whole(world)
    judged(
        HERE,
        "a batch is canceled in the Console during the wait",
        "Its requests count as lost and are sent again.",
        flow,
    )


def test_a_batch_deleted_in_the_console_lands_as_missing(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    batch = flow.submit(claimed(flow))
    world.batches.made[0].deleted = True
    flow.run()
    assert is_whole(world)
    landed = flow.ledger.landed(flow.ledger.view().landed[0])
    assert landed is not None
    assert (landed.batch, landed.statuses) == (batch, {"missing": 3})
    told = "Its answers no longer exist: each row says so, and its requests are sent again."
    judged(
        HERE, "a batch is deleted in the Console during the wait", told, flow, twice=3
    )


def test_results_gone_after_29_days_are_said_to_be_gone(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.clock.at = datetime(2020, 1, 1, tzinfo=UTC)
    flow.submit(claimed(flow))
    world.clock.turn(30 * DAY)
    flow.run()
    assert is_whole(world)
    told = "Each row says so; only these requests are sent again."
    judged(HERE, "results are deleted after 29 days", told, flow, twice=3)


def test_a_passing_404_condemns_nothing(world: MemoryWorld, flow: Flow) -> None:
    batch = flow.submit(claimed(flow))
    flow.wait(batch)
    world.batches.made[0].deleted = True

    def mend(_: float) -> None:
        world.batches.made[0].deleted = False

    landed = land(flow.ledger.view().claimed[0], flow.ledger, world.batches, mend)
    assert landed.statuses == {"answered": 3}


def test_results_of_a_batch_that_has_not_ended_are_not_taken_for_gone(
    world: MemoryWorld, flow: Flow
) -> None:
    shard = claimed(flow)
    flow.submit(shard)
    with pytest.raises(Incomplete, match="not ended"):
        flow.land(shard)
    assert flow.ledger.landed(shard) is None


def test_a_candidate_whose_results_are_gone_is_not_ours_in_the_end(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.faults.creates = ["dropped"]
    strangers(world)
    shard = claimed(flow)
    buyer(flow).submit(shard)
    world.clock.turn(40 * DAY)
    flow.run()
    assert is_whole(world)
    judged(
        HERE,
        "a batch that may be the orphan's, whose results were deleted",
        "The run requests its results for a while, then ignores it.",
        flow,
    )


def test_an_orphan_whose_results_are_not_there_for_a_moment_is_no_strangers(
    world: MemoryWorld, flow: Flow
) -> None:
    world.batches.faults.creates = ["lost"]
    shard = claimed(flow)
    buyer(flow).submit(shard)
    world.clock.turn(3 * 3_600)
    world.batches.faults.results = ["gone", "gone", "empty", "empty"]
    for _ in range(4):
        assert isinstance(buyer(flow).submit(shard), Later)
        world.clock.turn(3_600)
    flow.run()
    assert len(world.batches.made) == 1
    assert is_whole(world)


def test_an_orphan_is_known_in_spite_of_a_line_that_is_nobodys(
    world: MemoryWorld, flow: Flow
) -> None:
    world.batches.faults.creates, world.batches.faults.results = ["lost"], ["strange"]
    flow.run()
    assert len(world.batches.made) == 1
    assert is_whole(world)


def test_a_listing_that_breaks_off_between_two_pages_hides_no_orphan(
    world: MemoryWorld, flow: Flow
) -> None:
    world.batches.page_size = 2
    world.batches.faults.creates = ["lost"]
    shard = claimed(flow)
    buyer(flow).submit(shard)
    strangers(world, 3, size=1)
    world.clock.turn(2 * 3_600)
    world.batches.faults.pages = 1
    assert isinstance(buyer(flow).submit(shard), Later)
    flow.run()
    assert len(world.batches.made) == 4
    assert is_whole(world)


def test_a_batch_that_turns_up_after_its_claim_was_given_up_lands_too(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    shard = claimed(flow)

    def give_up() -> None:
        world.clock.turn(2 * 3_600)
        by_hand = replace(buyer(flow), late=Late(owned=True, why="by hand"))
        assert by_hand.submit(shard) == Submitted(BatchId(""))

    acts = [give_up]
    world.batches.arriving = lambda: acts.pop()() if acts else None
    late = flow.submit(shard)
    flow.wait(late)
    for _ in range(2):
        flow.land(shard)
    assert len(flow.ledger.view().claimed) == 2
    flow.run()
    assert [late] == [batch.id for batch in world.batches.made]
    assert is_whole(world)
    told = "The batch gets a claim of its own, and its answers land."
    judged(HERE, "a batch appears after its claim was closed by a person", told, flow)


def test_a_list_that_fails_is_asked_again(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.faults.creates = ["lost"]
    shard = claimed(flow)
    buyer(flow).submit(shard)
    world.batches.faults.reads = 1
    assert isinstance(buyer(flow).submit(shard), Later)
    flow.run()
    judged(
        HERE,
        "the API does not answer during the search for an orphan",
        "The run searches again.",
        flow,
    )


def test_a_final_no_gives_the_claim_up(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    world.batches.faults.creates = ["too large"]
    with pytest.raises(ShardsFailed, match="413"):
        flow.run()
    assert flow.ledger.view().in_flight == []
    Flow(world, settings(max_batch_requests=2), buyer="dag/mended").run()
    assert is_whole(world)
    judged(
        HERE,
        "the API refuses a batch permanently (413)",
        "The run fails; a corrected run may buy its requests.",
        flow,
    )


def test_an_odd_no_is_tried_once_more(world: MemoryWorld, flow: Flow) -> None:
    world.batches.faults.creates = ["odd"]
    flow.run()
    assert is_whole(world)


def test_an_odd_no_that_comes_again_is_final(world: MemoryWorld, flow: Flow) -> None:
    world.batches.faults.creates = ["odd", "odd"]
    with pytest.raises(ShardsFailed, match="400"):
        flow.run()
    assert flow.ledger.view().in_flight == []


def test_a_claim_whose_snapshot_is_gone_is_given_up_and_claimed_anew(
    world: MemoryWorld, flow: Flow, judged: Judged
) -> None:
    ref = flow.prepare()
    flow.plan(ref)
    ledger = flow.ledger
    staged = [
        entry.key for entry in ledger.store.list(f"snapshots/{ref.snapshot}/requests")
    ]
    ledger.store.remove(staged)
    other = Flow(world, settings(limit=4), buyer="dag/other")
    other.run()
    assert is_whole(world)
    judged(
        HERE,
        "the staged requests of a claim no longer exist",
        "The claim is closed before anything is sent, and its requests get a new claim.",
        other,
    )


class MoodyStore(MemoryStore):
    """A store that does not answer for some keys while `moods` names them."""

    moods: ClassVar[list[str]] = []

    def get(self, key: str) -> bytes:
        if any(mood in key for mood in self.moods):
            raise StoreError(f"{self.url}{key}: the store did not answer.")
        return super().get(key)


@pytest.mark.parametrize("key", ["/run.json", "/requests-"])
def test_a_store_that_fails_while_the_body_is_made_delays_the_post_and_gives_nothing_up(
    world: MemoryWorld, flow: Flow, key: str
) -> None:
    shard, began = claimed(flow), world.now()
    moody = Ledger(MoodyStore(flow.enrichment.state_url, world.bucket))
    MoodyStore.moods = []
    with at("post written", lambda: MoodyStore.moods.append(key)):
        outcome = replace(buyer(flow), ledger=moody).submit(shard)
    assert isinstance(outcome, Later)
    assert "did not answer" in outcome.why
    flow.run()
    assert world.now() - began < timedelta(hours=2)
    assert flow.ledger.view().claimed == [shard]
    assert is_whole(world)


def test_staged_requests_that_cannot_be_read_just_now_are_not_taken_for_gone(
    world: MemoryWorld, flow: Flow
) -> None:
    shard = claimed(flow)
    name = next(name for name in world.bucket.objects if "/requests-" in name)
    staged = world.bucket.objects[name]
    with at("post written", lambda: world.bucket.objects.update({name: b"half of"})):
        assert isinstance(buyer(flow).submit(shard), Later)
    world.bucket.objects[name] = staged
    flow.run()
    assert flow.ledger.view().claimed == [shard]
    assert is_whole(world)


def test_a_look_for_an_orphan_that_the_api_refuses_waits_as_long_as_it_asks(
    world: MemoryWorld, flow: Flow
) -> None:
    class Busy(MemoryBatches):
        def page(self, after: BatchId | None = None) -> Page:
            raise ApiUnavailable("the API answered 429.", retry_after=600)

    world.batches.faults.creates = ["lost"]
    shard = claimed(flow)
    buyer(flow).submit(shard)
    outcome = replace(buyer(flow), api=Busy(world.clock)).submit(shard)
    assert isinstance(outcome, Later)
    assert outcome.until >= world.now() + timedelta(seconds=600)


# Two that publish at once.


def test_a_publication_that_comes_second_leaves_none_of_its_files(
    world: MemoryWorld, flow: Flow
) -> None:
    def publish_newer_rows() -> None:
        world.store(SOURCE).remove(["dt=1/part-0.parquet"])
        put(world.store(SOURCE), "dt=1/part-0.parquet", rows(["four"]))
        Flow(world, buyer="dag/newer").run()

    with (
        at("old files removed", publish_newer_rows),
        pytest.raises(StoreError, match="at the same time"),
    ):
        flow.run()
    assert [row["answer"] for row in published(world.store(TARGET))] == [
        "about Say: four"
    ]


def test_two_that_publish_the_same_at_once_are_both_content(
    world: MemoryWorld, flow: Flow
) -> None:
    with at("old files removed", Flow(world, buyer="dag/other").run):
        flow.run()
    assert is_whole(world)


# Releasing a claim by hand.


def test_a_claim_that_was_never_posted_can_be_released(
    world: MemoryWorld, flow: Flow
) -> None:
    shard = claimed(flow)
    release(flow.ledger.shard(shard), world.now, "by hand")
    assert flow.submit(shard) == BatchId("")
    assert world.batches.made == []
    flow.run()
    assert is_whole(world)


def test_a_claim_in_doubt_cannot_be_released(world: MemoryWorld, flow: Flow) -> None:
    world.batches.faults.creates = ["lost"]
    shard = claimed(flow)
    buyer(flow).submit(shard)
    with pytest.raises(InDoubt, match="may have been bought"):
        release(flow.ledger.shard(shard), world.now, "by hand")


def test_a_claim_with_a_batch_cannot_be_released(
    world: MemoryWorld, flow: Flow
) -> None:
    shard = claimed(flow)
    flow.submit(shard)
    with pytest.raises(InDoubt, match="cancel"):
        release(flow.ledger.shard(shard), world.now, "by hand")


def test_releasing_and_posting_at_once_cannot_both_succeed(
    world: MemoryWorld, flow: Flow
) -> None:
    shard = claimed(flow)

    def let_go() -> None:
        with pytest.raises(InDoubt):
            release(flow.ledger.shard(shard), world.now, "by hand")

    with at("post written", let_go):
        assert flow.submit(shard)
    assert len(world.batches.made) == 1


def test_a_release_that_died_half_way_is_completed_by_the_next_submit(
    world: MemoryWorld, flow: Flow
) -> None:
    shard = claimed(flow)
    with pytest.raises(ZeroDivisionError), at("claim given up", lambda: 1 / 0):
        release(flow.ledger.shard(shard), world.now, "by hand")
    assert flow.ledger.view().in_flight == [shard]
    assert flow.submit(shard) == BatchId("")
    assert flow.ledger.view().in_flight == []
