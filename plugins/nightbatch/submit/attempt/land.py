"""Landing an attempt: each shard whose batch has ended lands, whatever becomes of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from nightbatch.amounts import usd
from nightbatch.errors import FINAL, NightbatchError, NotEnded
from nightbatch.ids import Shard
from nightbatch.land.land import land
from nightbatch.land.read_results import Pause
from nightbatch.ledger.facts import Awaited, LandedFact
from nightbatch.ledger.ledger import Ledger
from nightbatch.ports import Batches
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import Clock
from nightbatch.wording import counted

MOST_REASONS = 3
"""Most different failures that are named; a thousand batches may all fail for the same reason."""


@dataclass(frozen=True)
class AttemptLanding:
    """Whether batches of an attempt still run, what failed for good, and an error that a later try may avoid."""

    running: bool
    failures: list[NightbatchError]
    trouble: NightbatchError | None

    @property
    def why_failed(self) -> str:
        """Name each different reason once; empty where nothing failed."""
        return reasons(self.failures)


@dataclass(frozen=True)
class AttemptLander:
    """Lands the shards of a run's attempts. `pause`: sleeps before results are read again."""

    ref: RunRef
    ledger: Ledger
    api: Batches
    now: Clock
    info: Callable[[str], None]
    pause: Pause

    def land(self, attempt: Awaited, unsent: Collection[Shard]) -> AttemptLanding:
        """Land each shard but the unsent ones; an error of one does not keep others from landing."""
        running = False
        landed_facts = list[LandedFact]()
        failures = list[NightbatchError]()
        trouble: NightbatchError | None = None
        is_late = self.ref.late(self.now())
        for shard in attempt.shards:
            if shard in unsent:
                continue
            try:
                landed_fact = land(shard, self.ledger, self.api, self.pause)
                landed_facts.append(landed_fact)
            except NotEnded:
                is_waited_for = shard in attempt.own or not is_late
                running = running or is_waited_for
            except FINAL as error:
                failures.append(error)
            except NightbatchError as error:
                trouble = trouble or error
        if landed_facts:
            self.info(_words(landed_facts))
        return AttemptLanding(running, failures, trouble)


def reasons(failures: Sequence[NightbatchError]) -> str:
    """Name each different reason once; empty where nothing failed."""
    messages = [str(failure) for failure in failures]
    different_messages = list(dict.fromkeys(messages))
    sentences = different_messages[:MOST_REASONS]
    more_count = len(different_messages) - MOST_REASONS
    if more_count > 0:
        sentences.append(f"And {more_count} more.")
    return " ".join(sentences)


def _words(landed_facts: Sequence[LandedFact]) -> str:
    """Write the results of an attempt's shards, in one line for all of them."""
    status_counts = Counter[str]()
    for fact in landed_facts:
        status_counts.update(fact.statuses)
    counts = ", ".join(
        f"{count:,} {status}" for status, count in status_counts.most_common()
    )
    batch_count = counted(len(landed_facts), "batch", "batches")
    return f"Landed {batch_count}: {counts}; {_total_cost(landed_facts)}."


def _total_cost(landed_facts: Sequence[LandedFact]) -> str:
    """Write the total cost; a lower bound if the cost of a batch is unknown."""
    known_costs = [
        Decimal(fact.cost_usd) for fact in landed_facts if fact.cost_usd is not None
    ]
    total_usd = sum(known_costs, Decimal(0))
    is_complete = len(known_costs) == len(landed_facts)
    at_least = "" if is_complete else "at least "
    return f"{at_least}{usd(total_usd)}"
