"""Buying: what the tasks `submit` and `land` do, as two loops over the facts of a run.

`submit` plans, and sends until every shard of the first attempt has its batch; a canary goes before it. `land` lands
what has ended and asks again what is lost, attempt after attempt. Both do whatever can be done now, and return what to
wait for where nothing can be: called again, they go on where the facts say. Nothing is kept between two calls but the
name of the fact that says which shards an attempt waits for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
from nightbatch.plan.quote import Counts
from nightbatch.plurals import counted
from nightbatch.ports import Batches
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import Timing
from nightbatch.submit.submit import Buyer, Late, Later, Submitted
from nightbatch.submit.turns import Rule

Say = Callable[[str], None]
MOST_REASONS = 3
"""So many different failures are named; a thousand batches may all fail for one reason."""
PLANNER_SECONDS = 30.0
"""Between two looks at a lease that another planner holds."""


@dataclass(frozen=True)
class Waiting:
    """Nothing can be done before `later` or, without it, before the batches of the attempt have ended.

    `awaited`: the attempt to go on with; empty: none is planned yet. `queued`: the shard that waits for room in the
    account's queue. `failed`: why some shards of the attempt cannot be had: it is raised once the others have landed.
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
class Landed:
    """Nothing is left to be asked, or the attempts are spent. `attempt`: the last one."""

    attempt: int


@dataclass(frozen=True)
class _Sending:
    """How far the sending of an attempt has come."""

    later: Later | None = None
    queued: Shard | None = None
    failure: NightbatchError | None = None


@dataclass(frozen=True)
class _Landing:
    """What is still running of an attempt, what failed for good, and what may succeed when tried again."""

    running: bool
    failures: list[NightbatchError]
    trouble: NightbatchError | None


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Purchase:
    """Who buys for a run, with what it needs for that.

    `admitted`: the shard that was let into the account's queue. `uploads`: bodies that are sent at the same time.
    """

    ref: RunRef
    ledger: Ledger
    api: Batches
    now: Callable[[], datetime]
    timing: Timing
    counts: Counts | None = None
    admitted: Shard | None = None
    uploads: int = 1
    info: Say = _silent
    warning: Say = _silent
    pause: Pause = time.sleep

    def submit(self, awaited: str = "") -> Sent | Waiting:
        """Send a canary if one is wanted, then the first attempt. `awaited`: what an earlier call has planned.

        Raises CapExceeded, CanaryRejected, AccountStopped, or NotSent where nothing at all could be sent.
        """
        try:
            attempt = (
                self.ledger.awaited(awaited) if awaited else self._plan(canary.ATTEMPT)
            )
            if attempt.attempt == canary.ATTEMPT:
                if (waiting := self._canary(attempt)) is not None:
                    return waiting
                awaited = attempt.name if attempt.shards else ""
                attempt = self._plan(1)
        except LeaseTaken as error:
            return self._planner(awaited, error)
        sending = self._send(attempt)
        failed = _reasons([sending.failure] if sending.failure else [])
        if sending.failure is not None and not self._has_batches(attempt):
            raise sending.failure
        if sending.later is not None and not failed:
            return Waiting(attempt.name, sending.later, sending.queued)
        return Sent(attempt.name, len(attempt.shards), failed)

    def land(self, awaited: str, failed: str = "") -> Landed | Waiting:
        """Land an attempt, then plan, send and land the next for as long as something is lost.

        A shard that cannot be had keeps no other from landing: then ShardsFailed is raised, and nothing more is asked.
        """
        while True:
            attempt = self.ledger.awaited(awaited)
            sending = _Sending() if failed else self._send(attempt)
            failed = failed or _reasons([sending.failure] if sending.failure else [])
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
            begun, is_landed = self._begun(attempt)
            if is_landed and (begun >= self.ref.attempts or self._is_late):
                return Landed(begun)
            number = begun + 1 if is_landed else begun
            try:
                following = self._plan(number)
            except LeaseTaken as error:
                return self._planner(awaited, error)
            if not following.shards:
                return Landed(begun)
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
        """Claim what is pending, and note which shards the attempt waits for."""
        planned = plan(self.ref, number, self.ledger, self.now, self.counts)
        own = [shard.shard for shard in planned.shards if not shard.joined]
        joined = [shard.shard for shard in planned.shards if shard.joined]
        attempt = Awaited(self.ref.snapshot, self.ref.buyer, number, own, joined)
        if number or attempt.shards:
            self.info(planned.words(number))
        for note in planned.notes:
            self.warning(note)
        if attempt.shards:
            self.ledger.write_awaited(attempt)
            reach("wait noted")
        return attempt

    def _begun(self, attempt: Awaited) -> tuple[int, bool]:
        """Return the last attempt that the run has begun since it planned this one, and whether all of it has landed.

        An earlier try of the task may have begun others: those count, and one that has not landed is gone on with.
        """
        view = self.ledger.view()
        last = max(attempt.shards)
        later = {
            shard: self.ledger.claim(shard) for shard in view.claimed if shard > last
        }
        own = {
            shard: claim
            for shard, claim in later.items()
            if claim.buyer == self.ref.buyer
        }
        begun = max((claim.attempt for claim in own.values()), default=attempt.attempt)
        is_landed = all(shard not in own for shard in view.in_flight)
        return max(begun, attempt.attempt), is_landed

    def _send(self, attempt: Awaited) -> _Sending:
        """Send every shard that has no batch yet, several at a time, until one must wait for what holds all others."""
        unsent = self._unsent(attempt)
        laters = list[tuple[Later, Shard]]()
        failures = list[NightbatchError]()
        width = self.uploads if self.ref.max_in_flight_requests is None else 1
        for start in range(0, len(unsent), width):
            shards = unsent[start : start + width]
            for shard, outcome in zip(
                shards, self._submit_each(shards, attempt), strict=True
            ):
                if isinstance(outcome, NightbatchError):
                    failures.append(outcome)
                elif isinstance(outcome, Later):
                    laters.append((outcome, shard))
                elif isinstance(outcome, Submitted) and outcome.warning:
                    self.warning(outcome.warning)
            stopped = any(isinstance(failure, AccountStopped) for failure in failures)
            if stopped or any(later.holds_all for later, _ in laters):
                break
        failure = failures[0] if failures else None
        if not laters:
            return _Sending(failure=failure)
        later, queued = _soonest(laters)
        return _Sending(later, queued, failure)

    def _submit_each(
        self, shards: Sequence[Shard], attempt: Awaited
    ) -> list[Submitted | Later | Late | NightbatchError]:
        if len(shards) == 1:
            return [self._submit(shards[0], attempt)]
        with ThreadPoolExecutor(len(shards)) as pool:
            return list(pool.map(lambda shard: self._submit(shard, attempt), shards))

    def _submit(
        self, shard: Shard, attempt: Awaited
    ) -> Submitted | Later | Late | NightbatchError:
        """Do the next step for one shard; return the error where the API will not take it."""
        late = Late(owned=shard in attempt.own) if self._is_late else None
        rule = Rule(self.ref.max_in_flight_requests, admitted=shard == self.admitted)
        buyer = Buyer(self.ledger, self.api, self.now, self.timing, rule, late)
        try:
            return buyer.submit(shard)
        except AccountStopped as error:
            return error
        except NotSent as error:
            if error.retryable:
                raise
            return error

    def _land(self, attempt: Awaited) -> _Landing:
        """Land each shard that has a batch which has ended; what goes wrong with one keeps no other from landing."""
        running = False
        landed = list[LandedFact]()
        failures = list[NightbatchError]()
        trouble: NightbatchError | None = None
        unsent = set(self._unsent(attempt))
        for shard in attempt.shards:
            if shard in unsent:
                continue
            try:
                landed.append(land(shard, self.ledger, self.api, self.pause))
            except NotEnded:
                running = running or shard in attempt.own or not self._is_late
            except FINAL as error:
                failures.append(error)
            except NightbatchError as error:
                trouble = trouble or error
        if landed:
            self.info(_words(landed))
        return _Landing(running, failures, trouble)

    def _unsent(self, attempt: Awaited) -> list[Shard]:
        """Name the shards that neither have a batch nor have landed."""
        view = self.ledger.view()
        settled = {
            keys.shard_of(entry.key) for entry in self.ledger.store.list(keys.BATCHES)
        } | set(view.landed)
        unsent = [shard for shard in attempt.shards if shard not in settled]
        return [shard for shard in unsent if self.ledger.batch(shard) is None]

    def _has_batches(self, attempt: Awaited) -> bool:
        return len(self._unsent(attempt)) < len(attempt.shards)

    def _planner(self, awaited: str, error: LeaseTaken) -> Waiting:
        """Wait for another planner of the same state."""
        until = min(error.until, self.now() + timedelta(seconds=PLANNER_SECONDS))
        return Waiting(awaited, Later(until, str(error)))

    @property
    def _is_late(self) -> bool:
        return self.ref.late(self.now())


def _soonest(laters: Sequence[tuple[Later, Shard]]) -> tuple[Later, Shard | None]:
    """Join what several shards wait for: the first place in the queue, the first time, any of their batches."""
    placed = [(later, shard) for later, shard in laters if later.place is not None]
    others = [later for later, _ in laters if later.place is None]
    until = min((later.until for later in others), default=None)
    if not placed:
        first = min(others, key=lambda later: later.until)
        batches = tuple(batch for later in others for batch in later.batches)
        return replace(first, batches=batches), None
    first, queued = placed[0]
    return replace(first, at_latest=until), queued


def _words(landed: Sequence[LandedFact]) -> str:
    """Say what the shards of an attempt came to, in one line for all of them."""
    statuses = Counter[str]()
    for fact in landed:
        statuses.update(fact.statuses)
    costs = [
        None if fact.cost_usd is None else Decimal(fact.cost_usd) for fact in landed
    ]
    known = sum((cost for cost in costs if cost is not None), Decimal(0))
    counts = ", ".join(
        f"{count:,} {status}" for status, count in statuses.most_common()
    )
    at_least = "at least " if None in costs else ""
    return f"Landed {counted(len(landed), 'batch', 'batches')}: {counts}; {at_least}{known:.4f} USD."


def _reasons(failures: Sequence[NightbatchError]) -> str:
    """Name each different reason once."""
    reasons = list(dict.fromkeys(str(failure) for failure in failures))
    more = len(reasons) - MOST_REASONS
    return " ".join(
        [*reasons[:MOST_REASONS], *([f"And {more} more."] if more > 0 else [])]
    )
