"""Buying: what the tasks `submit` and `land` do, as two loops over the facts of a run.

`submit` plans, and sends until every shard of the first attempt has its batch; a canary may be sent first. `land` lands
batches that have ended and sends lost requests again, attempt after attempt. Both do everything that can be done now,
then return what to wait for; the next call continues from the facts. Between calls, only the name of the fact with the
attempt's shards is kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from nightbatch.errors import (
    FINAL,
    AccountStopped,
    LeaseTaken,
    NightbatchError,
    NotEnded,
    NotSent,
    ShardsFailed,
)
from nightbatch.failpoints import reach
from nightbatch.ids import Shard
from nightbatch.land.land import land
from nightbatch.land.read_results import Pause
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Awaited, LandedFact
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan import canary
from nightbatch.plan.plan import plan
from nightbatch.plan.quote import TokenCounter
from nightbatch.plurals import counted
from nightbatch.ports import Batches
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.submit import Late, Later, Submitted, Submitter
from nightbatch.submit.turns import QueueLimit

Say = Callable[[str], None]
_Outcome = Submitted | Later | Late | NightbatchError
MOST_REASONS = 3
"""Most different failures that are named; a thousand batches may all fail for the same reason."""
PLANNER_SECONDS = 30.0
"""Between two looks at a lease that another planner holds."""


@dataclass(frozen=True)
class Waiting:
    """Nothing can be done before `later` or, without it, before the batches of the attempt have ended.

    `awaited`: the attempt to continue; empty if none is planned yet. `queued`: the shard that waits for room in the
    account's queue. `failed`: why some shards of the attempt failed; raised once the others have landed.
    """

    awaited: str = ""
    later: Later | None = None
    queued: Shard | None = None
    failed: str = ""


@dataclass(frozen=True)
class Sent:
    """Every shard of the first attempt has its batch or is given up. `failed`: why some could not be sent."""

    awaited: str
    batches: int
    failed: str = ""


@dataclass(frozen=True)
class AllLanded:
    """Every request is settled, or no attempts are left. `attempt`: the last one."""

    attempt: int


@dataclass(frozen=True)
class _Sending:
    """How far the sending of an attempt has come."""

    later: Later | None = None
    queued: Shard | None = None
    failure: NightbatchError | None = None


@dataclass
class _Results:
    """What came of sending the shards of an attempt so far: what to wait for, and errors."""

    laters: list[tuple[Later, Shard]] = field(default_factory=list)
    failures: list[NightbatchError] = field(default_factory=list)

    def add(self, shard: Shard, outcome: _Outcome) -> None:
        """Keep the outcome of a shard that has to wait or has failed."""
        if isinstance(outcome, NightbatchError):
            self.failures.append(outcome)
        elif isinstance(outcome, Later):
            self.laters.append((outcome, shard))

    @property
    def stop_all(self) -> bool:
        """Whether no other shard can be sent now."""
        if any(isinstance(failure, AccountStopped) for failure in self.failures):
            return True
        return any(later.holds_all for later, _ in self.laters)

    def sending(self) -> _Sending:
        """Combine the outcomes of all shards."""
        failure = self.failures[0] if self.failures else None
        if not self.laters:
            return _Sending(failure=failure)
        later, queued_shard = _soonest(self.laters)
        return _Sending(later, queued_shard, failure)


@dataclass(frozen=True)
class _Landing:
    """Whether batches of an attempt still run, what failed for good, and an error that a later try may avoid."""

    running: bool
    failures: list[NightbatchError]
    trouble: NightbatchError | None


def _silent(_: str) -> None:
    """Log nothing."""


@dataclass(frozen=True)
class Purchase:
    """Buys for a run.

    `admitted`: the shard that has room in the account's queue. `uploads`: how many bodies are sent at the same time.
    """

    ref: RunRef
    ledger: Ledger
    api: Batches
    now: Callable[[], datetime]
    timing: SubmitTiming
    counts: TokenCounter | None = None
    admitted: Shard | None = None
    uploads: int = 1
    info: Say = _silent
    warning: Say = _silent
    pause: Pause = time.sleep

    def submit(self, awaited: str = "") -> Sent | Waiting:
        """Send a canary if one is wanted, then the first attempt. `awaited`: the attempt that an earlier call planned.

        Raises CapExceeded, CanaryRejected, AccountStopped, or NotSent if nothing at all could be sent.
        """
        try:
            attempt = self._planned(awaited)
            if attempt.attempt == canary.ATTEMPT:
                waiting = self._canary(attempt)
                if waiting is not None:
                    return waiting
                awaited = attempt.name if attempt.shards else ""
                attempt = self._plan(1)
        except LeaseTaken as error:
            return self._wait_for_planner(awaited, error)
        sending = self._send(attempt)
        failure = sending.failure
        if failure is not None and not self._has_batches(attempt):
            raise failure
        failed = _failure_reason(failure)
        if sending.later is not None and not failed:
            return Waiting(attempt.name, sending.later, sending.queued)
        return Sent(attempt.name, len(attempt.shards), failed)

    def _planned(self, awaited: str) -> Awaited:
        """Read the attempt that an earlier call has planned; without one, plan the canary."""
        return self.ledger.awaited(awaited) if awaited else self._plan(canary.ATTEMPT)

    def land(self, awaited: str, failed: str = "") -> AllLanded | Waiting:
        """Land an attempt, then plan, send and land the next one while requests are lost.

        A shard that fails does not keep others from landing: then ShardsFailed is raised, and nothing more is sent.
        """
        while True:
            attempt = self.ledger.awaited(awaited)
            sending = _Sending() if failed else self._send(attempt)
            failed = failed or _failure_reason(sending.failure)
            if sending.later is not None:
                return Waiting(awaited, sending.later, sending.queued, failed)
            landing = self._land(attempt)
            failed = failed or _reasons(landing.failures)
            if landing.running:
                return Waiting(awaited, failed=failed)
            if failed:
                raise ShardsFailed(failed)
            if landing.trouble is not None:
                raise landing.trouble
            last_attempt, is_landed = self._last_attempt(attempt)
            if is_landed and self._is_last(last_attempt):
                return AllLanded(last_attempt)
            next_attempt = last_attempt + 1 if is_landed else last_attempt
            try:
                following = self._plan(next_attempt)
            except LeaseTaken as error:
                return self._wait_for_planner(awaited, error)
            if not following.shards:
                return AllLanded(last_attempt)
            awaited = following.name

    def _canary(self, attempt: Awaited) -> Waiting | None:
        """Send the canary and land it; None: it has landed, or none was wanted."""
        sending = self._send(attempt)
        if sending.failure is not None:
            raise sending.failure
        if sending.later is not None:
            return Waiting(attempt.name, sending.later, sending.queued)
        landing = self._land(attempt)
        for error in (*landing.failures, landing.trouble):
            if error is not None:
                raise error
        return Waiting(attempt.name) if landing.running else None

    def _plan(self, number: int) -> Awaited:
        """Claim what is pending, and store which shards the attempt waits for."""
        planned = plan(self.ref, number, self.ledger, self.now, self.counts)
        own_shards = [shard.shard for shard in planned.shards if not shard.joined]
        joined_shards = [shard.shard for shard in planned.shards if shard.joined]
        attempt = Awaited(
            self.ref.snapshot, self.ref.buyer, number, own_shards, joined_shards
        )
        if number or attempt.shards:
            self.info(planned.words(number))
        for note in planned.notes:
            self.warning(note)
        if attempt.shards:
            self.ledger.write_awaited(attempt)
            reach("wait noted")
        return attempt

    def _last_attempt(self, attempt: Awaited) -> tuple[int, bool]:
        """Return the last attempt that the run has begun since it planned this one, and whether all of it has landed.

        An earlier try of the task may have begun others: those count, and the run continues one that has not landed.
        """
        view = self.ledger.view()
        last_shard = max(attempt.shards)
        later_shards = [shard for shard in view.claimed if shard > last_shard]
        own_attempts = self._own_attempts(later_shards)
        is_landed = own_attempts.keys().isdisjoint(view.in_flight)
        last_attempt = max([attempt.attempt, *own_attempts.values()])
        return last_attempt, is_landed

    def _own_attempts(self, shards: Iterable[Shard]) -> dict[Shard, int]:
        """Return the attempt of each shard that the run itself has claimed."""
        own_attempts: dict[Shard, int] = {}
        for shard in shards:
            claim = self.ledger.claim(shard)
            if claim.buyer == self.ref.buyer:
                own_attempts[shard] = claim.attempt
        return own_attempts

    def _send(self, attempt: Awaited) -> _Sending:
        """Send every shard that has no batch, several at a time, until one has to wait for what stops them all."""
        unsent_shards = self._unsent(attempt)
        at_once = self.uploads if self.ref.max_in_flight_requests is None else 1
        results = _Results()
        for start in range(0, len(unsent_shards), at_once):
            shards = unsent_shards[start : start + at_once]
            outcomes = self._submit_each(shards, attempt)
            for shard, outcome in zip(shards, outcomes, strict=True):
                results.add(shard, outcome)
                if isinstance(outcome, Submitted) and outcome.warning:
                    self.warning(outcome.warning)
            if results.stop_all:
                break
        return results.sending()

    def _submit_each(self, shards: Sequence[Shard], attempt: Awaited) -> list[_Outcome]:
        if len(shards) == 1:
            return [self._submit(shards[0], attempt)]

        def submit_shard(shard: Shard) -> _Outcome:
            return self._submit(shard, attempt)

        with ThreadPoolExecutor(len(shards)) as pool:
            return list(pool.map(submit_shard, shards))

    def _submit(self, shard: Shard, attempt: Awaited) -> _Outcome:
        """Do the next step for one shard; return the error if the API refuses it for good."""
        late = Late(owned=shard in attempt.own) if self._is_late else None
        is_admitted = shard == self.admitted
        queue_limit = QueueLimit(self.ref.max_in_flight_requests, is_admitted)
        submitter = Submitter(
            self.ledger, self.api, self.now, self.timing, queue_limit, late
        )
        try:
            return submitter.submit(shard)
        except AccountStopped as error:
            return error
        except NotSent as error:
            if error.retryable:
                raise
            return error

    def _land(self, attempt: Awaited) -> _Landing:
        """Land each shard whose batch has ended; an error of one does not keep others from landing."""
        running = False
        landed_facts = list[LandedFact]()
        failures = list[NightbatchError]()
        trouble: NightbatchError | None = None
        unsent_shards = set(self._unsent(attempt))
        for shard in attempt.shards:
            if shard in unsent_shards:
                continue
            try:
                landed_fact = land(shard, self.ledger, self.api, self.pause)
                landed_facts.append(landed_fact)
            except NotEnded:
                is_waited_for = shard in attempt.own or not self._is_late
                running = running or is_waited_for
            except FINAL as error:
                failures.append(error)
            except NightbatchError as error:
                trouble = trouble or error
        if landed_facts:
            self.info(_words(landed_facts))
        return _Landing(running, failures, trouble)

    def _unsent(self, attempt: Awaited) -> list[Shard]:
        """Return the shards that neither have a batch nor have landed."""
        settled_shards = self._settled()
        return [
            shard
            for shard in attempt.shards
            if shard not in settled_shards and self.ledger.batch(shard) is None
        ]

    def _settled(self) -> set[Shard]:
        """List the shards that have a batch of their own or have landed."""
        landed_shards = set(self.ledger.view().landed)
        batch_facts = self.ledger.store.list(keys.BATCHES)
        bought_shards = {keys.shard_of(entry.key) for entry in batch_facts}
        return landed_shards | bought_shards

    def _has_batches(self, attempt: Awaited) -> bool:
        return len(self._unsent(attempt)) < len(attempt.shards)

    def _wait_for_planner(self, awaited: str, error: LeaseTaken) -> Waiting:
        """Wait for another planner of the same state."""
        look_again = self.now() + timedelta(seconds=PLANNER_SECONDS)
        until = min(error.until, look_again)
        return Waiting(awaited, Later(until, str(error)))

    def _is_last(self, attempt_number: int) -> bool:
        return attempt_number >= self.ref.attempts or self._is_late

    @property
    def _is_late(self) -> bool:
        return self.ref.late(self.now())


def _soonest(laters: Sequence[tuple[Later, Shard]]) -> tuple[Later, Shard | None]:
    """Combine what several shards wait for: the first place in the queue, the first time, any of their batches."""
    waiting_in_line: list[tuple[Later, Shard]] = []
    others: list[Later] = []
    for later, shard in laters:
        if later.place is None:
            others.append(later)
        else:
            waiting_in_line.append((later, shard))
    if not waiting_in_line:
        return _combined(others), None
    first_in_line, queued_shard = waiting_in_line[0]
    other_times = [later.until for later in others]
    at_latest = min(other_times, default=None)
    return replace(first_in_line, at_latest=at_latest), queued_shard


def _combined(laters: Sequence[Later]) -> Later:
    """Wait for the first time, or for any of the batches."""
    soonest = min(laters, key=lambda later: later.until)
    batch_ids = tuple(batch_id for later in laters for batch_id in later.batches)
    return replace(soonest, batches=batch_ids)


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
    return f"{at_least}{total_usd:.4f} USD"


def _failure_reason(failure: NightbatchError | None) -> str:
    return "" if failure is None else str(failure)


def _reasons(failures: Sequence[NightbatchError]) -> str:
    """Name each different reason once."""
    messages = [str(failure) for failure in failures]
    reasons = list(dict.fromkeys(messages))
    sentences = reasons[:MOST_REASONS]
    more_count = len(reasons) - MOST_REASONS
    if more_count > 0:
        sentences.append(f"And {more_count} more.")
    return " ".join(sentences)
