"""Find the landed rows that a run publishes, a span of ids at a time; history is read once for all parts."""

from __future__ import annotations

import numpy as np

from nightbatch.ids import Shard
from nightbatch.ledger.facts import LandedFact
from nightbatch.ledger.history.history import History, history
from nightbatch.ledger.ledger import Ledger
from nightbatch.prepare.staged import StagedRequests
from nightbatch.publish.publication import Publication
from nightbatch.publish.winners import Winners
from nightbatch.spec.locations import canonical
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef


def publication(ref: RunRef, run: Run, ledger: Ledger) -> Publication:
    """Find the facts that a run's publication is computed from."""
    past = history(ledger.store, ledger.view().landed)
    usable_shards = [
        shard
        for shard, origin in past.shards.items()
        if not ref.scope or origin.scope == ref.scope
    ]
    partition_facts = _partition_facts(run, ledger, past)
    run_shards = {
        shard
        for shard, fact in partition_facts.items()
        if fact.claim.buyer == ref.buyer
    }
    staged = StagedRequests(run, ledger.store)
    request_count = len(staged)
    run_publication = Publication(
        run=run,
        ledger=ledger,
        usable_shards=usable_shards,
        partition_facts=partition_facts,
        run_shards=run_shards,
        staged=staged,
        winners=Winners(request_count),
        has_unpublished_row=np.zeros(request_count, dtype=bool),
        is_used=np.zeros(request_count, dtype=bool),
    )
    _find_rows(run_publication, past)
    return run_publication


def _partition_facts(
    run: Run, ledger: Ledger, past: History
) -> dict[Shard, LandedFact]:
    """Read the facts of all shards that were bought for a run's partition, by any run."""
    own_target = canonical(run.target)
    partition_facts: dict[Shard, LandedFact] = {}
    for shard, origin in past.shards.items():
        if origin.partition != run.partition:
            continue
        if canonical(origin.target) != own_target:
            continue
        fact = ledger.landed(shard)
        if fact is not None:
            partition_facts[shard] = fact
    return partition_facts


def _find_rows(run_publication: Publication, past: History) -> None:
    """Find the row to publish for each request, and what was paid for other rows."""
    for span, id_round in run_publication.staged.rounds():
        entries = past.entries(run_publication.usable_shards, span)
        run_publication.add_entries(id_round, entries)
    run_publication.find_extra_costs()
