"""Buying: what the tasks `submit` and `land` do, as two loops over the facts of a run.

`submit` plans, and sends until every shard of the first attempt has its batch; a canary may be sent first. `land` lands
batches that have ended and sends lost requests again, attempt after attempt. Both do everything that can be done now,
then return what to wait for; the next call continues from the facts. Between calls, only the name of the fact with the
attempt's shards is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from nightbatch.errors import LeaseTaken, ShardsFailed
from nightbatch.ids import Shard
from nightbatch.land.read_results import Pause
from nightbatch.ledger import cancellation
from nightbatch.ledger.facts import Awaited, Canceled
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan import canary
from nightbatch.plan.quote import TokenCounter
from nightbatch.ports import Batches
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.attempt import own
from nightbatch.submit.attempt.land import AttemptLander, AttemptLanding
from nightbatch.submit.attempt.plan import AttemptPlanner
from nightbatch.submit.attempt.send import AttemptSender, AttemptSending, unsent
from nightbatch.submit.decide import Clock, SubmitTiming
from nightbatch.submit.outcome import Later

Say = Callable[[str], None]
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
    now: Clock
    timing: SubmitTiming
    counts: TokenCounter | None = None
    admitted: Shard | None = None
    uploads: int = 1
    info: Say = _silent
    warning: Say = _silent
    pause: Pause = time.sleep

    def submit(self, awaited: str = "") -> Sent | Waiting:
        """Send a canary if one is wanted, then the first attempt. `awaited`: the attempt that an earlier call planned.

        Raises CapExceeded, CanaryRejected, AccountStopped, or NotSent if nothing at all could be sent; RunCanceled
        once the batches of a canceled run have landed.
        """
        canceled = cancellation.read(self.ledger, self.ref.buyer)
        if canceled is not None:
            return self._stop(canceled)
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
        return self._send_first(attempt)

    def _planned(self, awaited: str) -> Awaited:
        """Read the attempt that an earlier call has planned; without one, plan the canary."""
        return self.ledger.awaited(awaited) if awaited else self._plan(canary.ATTEMPT)

    def _send_first(self, attempt: Awaited) -> Sent | Waiting:
        """Send the first attempt. Raises the error of a shard if none has a batch."""
        sending = self._send(attempt)
        has_bought_nothing = len(sending.unsent) == len(attempt.shards)
        if sending.failure is not None and has_bought_nothing:
            raise sending.failure
        failed = sending.why_failed
        if sending.later is not None and not failed:
            return Waiting(attempt.name, sending.later, sending.queued)
        return Sent(attempt.name, len(attempt.shards), failed)

    def land(self, awaited: str, failed: str = "") -> AllLanded | Waiting:
        """Land an attempt, then plan, send and land the next one while requests are lost.

        A shard that fails does not keep others from landing: then ShardsFailed is raised, and nothing more is sent.
        """
        while True:
            canceled = cancellation.read(self.ledger, self.ref.buyer)
            if canceled is not None:
                return self._stop(canceled)
            following = self._land_attempt(awaited, failed)
            if not isinstance(following, Awaited):
                return following
            awaited = following.name

    def _land_attempt(self, awaited: str, failed: str) -> Awaited | AllLanded | Waiting:
        """Land an attempt and plan the next one. `failed`: why sending some of its shards has failed before."""
        attempt = self.ledger.awaited(awaited)
        sending = self._send_unless(failed, attempt)
        failed = failed or sending.why_failed
        later = sending.later
        if later is not None:
            return Waiting(awaited, later, sending.queued, failed)
        landing = self._land(attempt, sending)
        failed = failed or landing.why_failed
        if landing.running:
            return Waiting(awaited, failed=failed)
        if failed:
            raise ShardsFailed(failed)
        trouble = landing.trouble
        if trouble is not None:
            raise trouble
        try:
            return self._following(attempt)
        except LeaseTaken as error:
            return self._wait_for_planner(awaited, error)

    def _following(self, attempt: Awaited) -> Awaited | AllLanded:
        """Plan the attempt that follows, or what has not landed of the last one that the run has begun since."""
        last = own.last_attempt(self.ref, self.ledger, attempt)
        last_number = last.number
        next_number = last_number
        if last.is_landed:
            if self._is_last(last_number):
                return AllLanded(last_number)
            next_number = last_number + 1
        following = self._plan(next_number)
        if not following.shards:
            return AllLanded(last_number)
        return following

    def _stop(self, canceled: Canceled) -> Waiting:
        """Land what a canceled run has bought, give up its other claims, then raise RunCanceled. Nothing is sent."""
        attempt = own.in_flight(self.ref, self.ledger)
        if not attempt.shards:
            raise cancellation.error(self.ledger, canceled)
        self.ledger.write_awaited(attempt)
        landing = self._send_and_land(attempt, stopped=canceled.words)
        if isinstance(landing, Waiting):
            return landing
        if landing.running:
            return Waiting(attempt.name)
        trouble = landing.trouble
        if trouble is not None:
            raise trouble
        if landing.failures:
            raise landing.failures[0]
        raise cancellation.error(self.ledger, canceled)

    def _canary(self, attempt: Awaited) -> Waiting | None:
        """Send the canary and land it; None: it has landed, or none was wanted."""
        landing = self._send_and_land(attempt)
        if isinstance(landing, Waiting):
            return landing
        if landing.failures:
            raise landing.failures[0]
        if landing.trouble is not None:
            raise landing.trouble
        if landing.running:
            return Waiting(attempt.name)
        return None

    def _send_and_land(
        self, attempt: Awaited, stopped: str = ""
    ) -> AttemptLanding | Waiting:
        """Send an attempt of which no shard may fail, and land it. Raises the first error of sending.

        `stopped`: why nothing is sent any more; shards without a batch are then given up.
        """
        sending = self._send(attempt, stopped)
        failure = sending.failure
        if failure is not None:
            raise failure
        later = sending.later
        if later is not None:
            return Waiting(attempt.name, later, sending.queued)
        return self._land(attempt, sending)

    def _plan(self, number: int) -> Awaited:
        planner = AttemptPlanner(
            self.ref, self.ledger, self.now, self.counts, self.info, self.warning
        )
        return planner.plan(number)

    def _send(self, attempt: Awaited, stopped: str = "") -> AttemptSending:
        sender = AttemptSender(
            self.ref,
            self.ledger,
            self.api,
            self.now,
            self.timing,
            self.warning,
            self.admitted,
            self.uploads,
            stopped,
        )
        return sender.send(attempt)

    def _send_unless(self, failed: str, attempt: Awaited) -> AttemptSending:
        """Send an attempt; where that has failed before, only find out which shards have no batch."""
        if not failed:
            return self._send(attempt)
        unsent_shards = unsent(attempt, self.ledger)
        return AttemptSending(unsent=frozenset(unsent_shards))

    def _land(self, attempt: Awaited, sending: AttemptSending) -> AttemptLanding:
        lander = AttemptLander(
            self.ref, self.ledger, self.api, self.now, self.info, self.pause
        )
        return lander.land(attempt, sending.unsent)

    def _wait_for_planner(self, awaited: str, error: LeaseTaken) -> Waiting:
        """Wait for another planner of the same state."""
        look_again = self.now() + timedelta(seconds=PLANNER_SECONDS)
        until = min(error.until, look_again)
        return Waiting(awaited, Later(until, str(error)))

    def _is_last(self, attempt_number: int) -> bool:
        return attempt_number >= self.ref.rules.attempts or self.ref.late(self.now())
