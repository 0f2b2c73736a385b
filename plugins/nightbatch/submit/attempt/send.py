"""Sending an attempt: each shard that has no batch is sent, until one must wait for something that stops them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from nightbatch.deadlines import time_of
from nightbatch.errors import AccountStopped, NightbatchError, NotSent
from nightbatch.ids import Shard
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Awaited
from nightbatch.ledger.ledger import Ledger
from nightbatch.ports import Batches
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import Clock, SubmitTiming
from nightbatch.submit.outcome import Late, Later, Outcome, Submitted
from nightbatch.submit.room.turns import QueueLimit
from nightbatch.submit.submit import Submitter

ShardOutcome = Outcome | NightbatchError


@dataclass(frozen=True)
class AttemptSending:
    """How far the sending of an attempt has come: what to wait for, and for which shard's place in the queue.

    `failure`: the first error that no retry changes. `unsent`: the shards that have no batch and have not landed.
    """

    later: Later | None = None
    queued: Shard | None = None
    failure: NightbatchError | None = None
    unsent: frozenset[Shard] = frozenset()

    @property
    def why_failed(self) -> str:
        """Say why some shards could not be sent; empty if none has failed."""
        return "" if self.failure is None else str(self.failure)


@dataclass(frozen=True)
class AttemptSender:
    """Sends the shards of a run's attempts.

    `admitted`: the shard that has room in the account's queue. `uploads`: how many bodies are sent at the same time.
    `stopped`: why nothing is sent any more; shards without a batch are then given up. Empty: the run goes on.
    """

    ref: RunRef
    ledger: Ledger
    api: Batches
    now: Clock
    timing: SubmitTiming
    warning: Callable[[str], None]
    admitted: Shard | None = None
    uploads: int = 1
    stopped: str = ""

    def send(self, attempt: Awaited) -> AttemptSending:
        """Send every shard that has no batch, several at a time. Raises an error that a retry may change."""
        unsent_shards = unsent(attempt, self.ledger)
        results = _Results()
        for shards in self._groups(unsent_shards):
            outcomes = self._submit_each(shards, attempt)
            results.add_all(shards, outcomes)
            self._warn(outcomes)
            if results.stop_all:
                break
        if results.failures:
            # A shard that was refused may have been given up, and then it has landed.
            unsent_shards = unsent(attempt, self.ledger)
        return results.sending(unsent_shards)

    def _groups(self, shards: Sequence[Shard]) -> Iterator[Sequence[Shard]]:
        """Group the shards that are sent at the same time: alone, where each must find room in the queue."""
        has_limit = self.ref.rules.max_in_flight_requests is not None
        group_size = 1 if has_limit else self.uploads
        for start in range(0, len(shards), group_size):
            yield shards[start : start + group_size]

    def _warn(self, outcomes: Iterable[ShardOutcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Submitted) and outcome.warning:
                self.warning(outcome.warning)

    def _submit_each(
        self, shards: Sequence[Shard], attempt: Awaited
    ) -> list[ShardOutcome]:
        if len(shards) == 1:
            return [self._submit(shards[0], attempt)]

        def submit_shard(shard: Shard) -> ShardOutcome:
            return self._submit(shard, attempt)

        with ThreadPoolExecutor(len(shards)) as pool:
            return list(pool.map(submit_shard, shards))

    def _submit(self, shard: Shard, attempt: Awaited) -> ShardOutcome:
        """Do the next step for one shard; return the error if the API refuses it for good."""
        is_admitted = shard == self.admitted
        queue_limit = QueueLimit(self.ref.rules.max_in_flight_requests, is_admitted)
        submitter = Submitter(
            self.ledger,
            self.api,
            self.now,
            self.timing,
            queue_limit,
            self._late(shard in attempt.own),
            self.ref.rules.give_up_minutes * 60,
            time_of(self.ref.deadline),
        )
        try:
            return submitter.submit(shard)
        except AccountStopped as error:
            return error
        except NotSent as error:
            if error.retryable:
                raise
            return error

    def _late(self, is_own: bool) -> Late | None:
        """Return why a shard is not sent any more; None: it is sent."""
        if self.stopped:
            return Late(is_own, self.stopped)
        return Late(is_own) if self.ref.late(self.now()) else None


def unsent(attempt: Awaited, ledger: Ledger) -> list[Shard]:
    """Find the shards that neither have a batch nor have landed, by two listings."""
    landed_shards = ledger.shards_in(keys.LANDED)
    bought_shards = ledger.shards_in(keys.BATCHES)
    settled_shards = {*landed_shards, *bought_shards}
    return [
        shard
        for shard in attempt.shards
        if shard not in settled_shards and ledger.claim(shard).batch is None
    ]


class _ShardWait(NamedTuple):
    """What a shard waits for."""

    shard: Shard
    later: Later


@dataclass
class _Results:
    """What came of sending the shards of an attempt so far: what to wait for, and errors."""

    waits: list[_ShardWait] = field(default_factory=list)
    failures: list[NightbatchError] = field(default_factory=list)
    sent: set[Shard] = field(default_factory=set)

    def add_all(
        self, shards: Sequence[Shard], outcomes: Sequence[ShardOutcome]
    ) -> None:
        """Keep the outcomes of shards."""
        for shard, outcome in zip(shards, outcomes, strict=True):
            self._add(shard, outcome)

    def _add(self, shard: Shard, outcome: ShardOutcome) -> None:
        match outcome:
            case NightbatchError():
                self.failures.append(outcome)
            case Later():
                self.waits.append(_ShardWait(shard, outcome))
            case Submitted():
                self.sent.add(shard)

    @property
    def stop_all(self) -> bool:
        """Whether no other shard can be sent now."""
        if any(isinstance(failure, AccountStopped) for failure in self.failures):
            return True
        return any(wait.later.holds_all for wait in self.waits)

    def sending(self, unsent_before: Iterable[Shard]) -> AttemptSending:
        """Combine the outcomes of all shards. `unsent_before`: those that had no batch when it was last asked."""
        failure = self.failures[0] if self.failures else None
        unsent_shards = frozenset(unsent_before) - self.sent
        later, queued_shard = _soonest(self.waits)
        return AttemptSending(later, queued_shard, failure, unsent_shards)


def _soonest(waits: Sequence[_ShardWait]) -> tuple[Later | None, Shard | None]:
    """Combine what several shards wait for: the first place in the queue, the first time, any of their batches."""
    in_line = [wait for wait in waits if wait.later.place is not None]
    others = [wait.later for wait in waits if wait.later.place is None]
    if not in_line:
        return _combined(others), None
    first_in_line = in_line[0]
    other_times = [later.until for later in others]
    at_latest = min(other_times, default=None)
    later = replace(first_in_line.later, at_latest=at_latest)
    return later, first_in_line.shard


def _combined(laters: Sequence[Later]) -> Later | None:
    """Wait for the first time, or for any of the batches; None: there is nothing to wait for."""
    if not laters:
        return None
    soonest = min(laters, key=lambda later: later.until)
    batch_ids = tuple(batch_id for later in laters for batch_id in later.batches)
    return replace(soonest, batches=batch_ids)
