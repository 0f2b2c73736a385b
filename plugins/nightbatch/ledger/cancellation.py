"""Whether a run was cancelled: a fact that is never taken back, and after which nothing is bought for the run.

A sender reads it after it has taken the right to a POST, and who cancels reads the POSTs after the fact is written: so
one of the two always learns of the other.
"""

from __future__ import annotations

from nightbatch.errors import RunCancelled
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Cancelled
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.outcome import Status
from nightbatch.plurals import counted


def read(ledger: Ledger, buyer: str) -> Cancelled | None:
    """Read who cancelled a run and when; None if nobody has.

    It is listed before it is read: a store may answer "denied" for an object that does not exist.
    """
    key = keys.cancelled(buyer)
    if not any(ledger.store.list(key)):
        return None
    return Cancelled.from_json(ledger.store.get(key))


def write(ledger: Ledger, cancelled: Cancelled) -> Cancelled:
    """Note that a run is cancelled; return what was noted first."""
    key = keys.cancelled(cancelled.buyer)
    if ledger.store.create(key, cancelled.to_json()):
        return cancelled
    return Cancelled.from_json(ledger.store.get(key))


def refuse(ledger: Ledger, buyer: str) -> None:
    """Raise RunCancelled if a run was cancelled."""
    cancelled = read(ledger, buyer)
    if cancelled is not None:
        raise error(ledger, cancelled)


def error(ledger: Ledger, cancelled: Cancelled) -> RunCancelled:
    """Return the error with which the tasks of a cancelled run end."""
    answers = counted(answers_kept(ledger, cancelled.buyer), "answer")
    verb = "is" if answers.startswith("1 ") else "are"
    return RunCancelled(
        f"{cancelled.words}; {answers} {verb} kept, and a new run takes them."
    )


def answers_kept(ledger: Ledger, buyer: str) -> int:
    """Count the answers that have landed of what a run has bought."""
    count = 0
    for shard in ledger.view().landed:
        fact = ledger.landed(shard) if ledger.claim(shard).buyer == buyer else None
        if fact is not None:
            count += fact.statuses.get(str(Status.ANSWERED), 0)
    return count
