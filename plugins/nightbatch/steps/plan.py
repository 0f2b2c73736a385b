"""Plan: what is pending now becomes claimed shards; what others have in flight is joined instead of bought."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core import keys, pending
from nightbatch.core.estimate import Estimate, estimate
from nightbatch.core.facts import Claim, Lane, RunRef
from nightbatch.core.ids import Shard
from nightbatch.core.outcome import SETTLED
from nightbatch.core.price import DEFAULT
from nightbatch.core.request import BODY_HEAD, BODY_TAIL
from nightbatch.core.run import Run
from nightbatch.steps import lease, sheets
from nightbatch.steps.failpoints import reach
from nightbatch.steps.ledger import Ledger, View


@dataclass(frozen=True)
class Plan:
    """The lanes of one attempt, and what those that are new will cost."""

    lanes: list[Lane]
    asked: int
    pending: int
    estimate: Estimate


def plan(ref: RunRef, attempt: int, ledger: Ledger, now: Callable[[], datetime]) -> Plan:
    """Claim what is pending for a run, and name every shard that it must wait for.

    Doing it again finds the claims of the first time in flight, and names the same shards.
    """
    run = ledger.run(ref.snapshot)
    with lease.hold(ledger.store, now, holder=ref.buyer, seconds=ledger.lease_seconds):
        reach("lease taken")
        while True:
            view = ledger.view()
            asked = pending.distinct(_asked(run, ledger))
            left = pending.difference(asked, _settled(ref, ledger, view))
            joined = [shard for shard in view.in_flight if _joins(ref, ledger, shard, left)]
            left = pending.difference(left, (ledger.claimed(shard).column("id") for shard in joined))
            claims = [(_claim(ref, run, attempt, part, now()), part) for part in _shards(ref, run, left)]
            made = _write(ledger, view.next, claims)
            if made is not None:
                reach("claims complete")
                lanes = [_joined(ref, ledger, shard) for shard in joined] + made
                lanes.sort(key=lambda lane: lane.shard)
                return Plan(lanes, asked.num_rows, left.num_rows, _estimate(run, left))


def _asked(run: Run, ledger: Ledger) -> Iterator[pa.Table]:
    for part, key in enumerate(ledger.request_parts(run)):
        for batch in sheets.batches(ledger.store, key, None, 65_536):
            sizes = pc.binary_length(batch.column("content"))
            parts = pa.array([part] * batch.num_rows, pa.int32())
            yield pa.table({"id": batch.column("id"), "part": parts, "size": sizes})


def _settled(ref: RunRef, ledger: Ledger, view: View) -> Iterator[pa.Array]:
    """Read the ids that need not be asked again: landed answers and refusals, within the run's scope."""
    settled = pa.array(sorted(SETTLED), pa.string())
    for shard in view.landed:
        if ref.scope and (fact := ledger.landed(shard)) and fact.claim.scope != ref.scope:
            continue
        table = sheets.table(ledger.store, keys.landed(shard), ["id", "status"])
        yield table.filter(pc.is_in(table.column("status").cast(pa.string()), value_set=settled)).column("id")


def _joins(ref: RunRef, ledger: Ledger, shard: Shard, asked: pa.Table) -> bool:
    same = not ref.scope or ledger.claim(shard).scope == ref.scope
    return same and pending.meets(asked, ledger.claimed(shard).column("id"))


def _joined(ref: RunRef, ledger: Ledger, shard: Shard) -> Lane:
    claim = ledger.claim(shard)
    return Lane(shard, claim.attempt, claim.total, joined=claim.buyer != ref.buyer)


def _claim(ref: RunRef, run: Run, attempt: int, requests: pa.Table, now: datetime) -> Claim:
    expected = _estimate(run, requests).expected
    return Claim(
        snapshot=ref.snapshot, buyer=ref.buyer, scope=ref.scope, target=ref.target, partition=ref.partition,
        attempt=attempt, total=requests.num_rows, size=_body(run, requests), created_at=now, token=uuid4().hex,
        estimated_usd=None if expected is None else str(expected),
    )  # fmt: skip


def _write(ledger: Ledger, shard: Shard, claims: list[tuple[Claim, pa.Table]]) -> list[Lane] | None:
    """Create the claims under the numbers from `shard` on; None if another planner came between."""
    lanes: list[Lane] = []
    for claim, requests in claims:
        if not ledger.write_claim(shard, claim, pending.as_claim(requests)):
            return None
        reach("claim written")
        lanes.append(Lane(shard, claim.attempt, claim.total))
        shard = keys.shard(int(shard) + 1)
    return lanes


def _shards(ref: RunRef, run: Run, left: pa.Table) -> Iterator[pa.Table]:
    return pending.shards(
        left,
        max_requests=ref.max_batch_requests,
        max_bytes=ref.max_batch_bytes,
        overhead=run.frame.item_overhead,
        envelope=len(BODY_HEAD + BODY_TAIL),
    )


def _body(run: Run, requests: pa.Table) -> int:
    contents: int = pc.sum(requests.column("size")).as_py() or 0
    items: int = requests.num_rows
    return contents + items * run.frame.item_overhead + len(BODY_HEAD + BODY_TAIL) - 1


def _estimate(run: Run, requests: pa.Table) -> Estimate:
    return estimate(
        DEFAULT,
        model=run.model,
        max_tokens=run.max_tokens,
        requests=requests.num_rows,
        request_bytes=_body(run, requests),
    )
