"""The difference: what a run asks, less what is settled or in flight for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nightbatch.columnar.id_lookup import IdRange, Ids
from nightbatch.columnar.id_rounds import IdRound
from nightbatch.ids import Shard
from nightbatch.ledger.history.history import History, history
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.view import LedgerView
from nightbatch.plan.pending import Pending
from nightbatch.prepare.staged import RequestSet, StagedRequests
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef


@dataclass(frozen=True)
class Asker:
    """A run that asks, and the ledger of its state."""

    ref: RunRef
    run: Run
    ledger: Ledger

    def may_join(self, shard: Shard) -> bool:
        """Tell whether the run may wait for a shard: a run with a scope only for those of its scope."""
        scope = self.ref.scope
        if not scope:
            return True
        return self.ledger.claim(shard).scope == scope


@dataclass(frozen=True)
class Difference:
    """What a run asks, which shards in flight it may wait for, and what is left to be bought."""

    view: LedgerView
    asked: int
    joined: list[Shard]
    pending: RequestSet
    in_flight: int
    """How many of the asked requests are in flight."""


def take_difference(asker: Asker) -> Difference:
    """Take the difference: asked − settled − in flight."""
    ledger = asker.ledger
    store = ledger.store
    view = ledger.view()
    staged = StagedRequests(asker.run, store)
    past = history(store, view.landed)
    read_settled = _settled_reader(past, asker.ref.scope)
    in_flight = view.in_flight
    joinable_shards = list(filter(asker.may_join, in_flight))
    statuses = Pending(len(staged))
    joined = set[Shard]()
    for span, id_round in staged.rounds():
        statuses.ask(id_round)
        settled_ids = read_settled(span)
        statuses.settle(id_round, settled_ids)
        round_joined = _join(ledger, joinable_shards, statuses, id_round)
        joined.update(round_joined)
    pending_numbers = statuses.pending_numbers()
    pending_requests = RequestSet(staged, pending_numbers)
    return Difference(
        view=view,
        asked=statuses.asked_count,
        joined=sorted(joined),
        pending=pending_requests,
        in_flight=statuses.in_flight_count,
    )


def answered_for_others(asker: Asker, difference: Difference) -> RequestSet:
    """Choose those of the requests left that other runs have had answered, and that this run asks again."""
    requests = difference.pending
    staged = requests.staged
    statuses = Pending(len(staged))
    past = history(asker.ledger.store, difference.view.landed)
    for span, id_round in staged.rounds():
        settled_ids = past.all_settled(span)
        statuses.settle(id_round, settled_ids)
    is_answered = statuses.settled[requests.numbers]
    answered_places = np.flatnonzero(is_answered)
    return requests[answered_places]


def _settled_reader(past: History, scope: str) -> Callable[[IdRange], Iterator[Ids]]:
    """Return what reads the ids that are settled for a scope: in all shards, or only in those of the run's own scope.

    Without a scope, for whom a shard was bought is not read: that would take as many requests as its ids.
    """
    if not scope:
        return past.all_settled
    bought_for = past.shards
    own_shards = [shard for shard in bought_for if bought_for[shard].scope == scope]
    return partial(past.settled, own_shards)


def _join(
    ledger: Ledger, shards: Iterable[Shard], statuses: Pending, id_round: IdRound
) -> Iterator[Shard]:
    """Mark the requests of a round that shards have in flight; name the shards that hold any."""
    for shard in shards:
        claimed_requests = ledger.claimed(shard)
        shard_ids = claimed_requests.column("id")
        if statuses.mark_in_flight(id_round, shard_ids):
            yield shard
