"""Whether a run was canceled: a fact that is never taken back, and after which nothing is bought for the run.

A sender reads it after it has taken the right to a POST, and who cancels reads the POSTs after the fact is written: so
one of the two always learns of the other.
"""

from __future__ import annotations

from nightbatch.errors import RunCanceled
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Canceled
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.outcome import Status
from nightbatch.wording import counted


def read(ledger: Ledger, buyer: str) -> Canceled | None:
    """Read who canceled a run and when; None if nobody has.

    It is listed before it is read: a store may answer "denied" for an object that does not exist.
    """
    key = keys.canceled(buyer)
    if not any(ledger.store.list(key)):
        return None
    return Canceled.from_json(ledger.store.get(key))


def write(ledger: Ledger, canceled: Canceled) -> Canceled:
    """Note that a run is canceled; return what was noted first."""
    key = keys.canceled(canceled.buyer)
    if ledger.store.create(key, canceled.to_json()):
        return canceled
    return Canceled.from_json(ledger.store.get(key))


def refuse(ledger: Ledger, buyer: str) -> None:
    """Raise RunCanceled if a run was canceled."""
    canceled = read(ledger, buyer)
    if canceled is not None:
        raise error(ledger, canceled)


def error(ledger: Ledger, canceled: Canceled) -> RunCanceled:
    """Return the error with which the tasks of a canceled run end."""
    answer_count = answers_kept(ledger, canceled.buyer)
    answers = counted(answer_count, "answer is", "answers are")
    return RunCanceled(f"{canceled.words}; {answers} kept, and a new run takes them.")


def answers_kept(ledger: Ledger, buyer: str) -> int:
    """Count the answers that have landed of what a run has bought."""
    answered = str(Status.ANSWERED)
    count = 0
    for shard in ledger.view().landed:
        if ledger.claim(shard).buyer != buyer:
            continue
        fact = ledger.landed(shard)
        if fact is not None:
            count += fact.statuses.get(answered, 0)
    return count
