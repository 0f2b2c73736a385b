"""List the claims of a state that have not landed: what each waits for, and what to do.

`--release SHARD` closes a claim that has no batch: its requests are free to be claimed again. If a POST may have
created a batch, that batch is searched for first, and the claim is closed only if there is none.
`--cancel SHARD` cancels the batch of a claim: answers that it has by then are kept and billed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nightbatch.commands import _ports, _printing, _states
from nightbatch.errors import NightbatchError, SettingsError
from nightbatch.ids import Shard
from nightbatch.messages.safe_words import printable
from nightbatch.submit.decide import submit_timing
from nightbatch.wording import counted

if TYPE_CHECKING:
    from nightbatch.ledger.ledger import Ledger
    from nightbatch.submit.standing import Standing

BY_HAND = "released by hand"


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    _states.argument(parser)
    action_group = parser.add_mutually_exclusive_group()
    action_group.add_argument(
        "--release", metavar="SHARD", help="close a claim that has bought nothing"
    )
    action_group.add_argument(
        "--cancel", metavar="SHARD", help="cancel the batch of a claim"
    )
    _ports.arguments(parser)
    _printing.argument(parser)


def run(options: Namespace) -> int:
    """List, release or cancel."""
    ledger = _states.ledger(options)
    if options.release:
        _release(ledger, _shard(ledger, options.release), options)
    elif options.cancel:
        _cancel(ledger, _shard(ledger, options.cancel), options)
    else:
        _list(ledger, options)
    return 0


def _list(ledger: Ledger, options: Namespace) -> None:
    from nightbatch.submit.standing import standings

    view = ledger.view()
    claims_in_flight: list[Standing] = []
    if view.in_flight:
        batches = _ports.batches(options)
        timing = submit_timing()
        claims_in_flight += standings(ledger, batches, _now(), timing, view.in_flight)
    result = {
        "claims": len(view.claimed),
        "landed": len(view.landed),
        "in_flight": [_values(standing) for standing in claims_in_flight],
    }
    claims = counted(len(view.claimed), "claim")
    head = f"{claims}: {len(view.landed):,} landed, {len(view.in_flight):,} in flight"
    lines = [line for standing in claims_in_flight for line in _lines(standing)]
    _printing.show(options, result, [head, *lines])


def _values(standing: Standing) -> dict[str, Any]:
    """Return a claim in flight as values for a program."""
    return {
        "shard": standing.shard,
        "state": standing.state,
        "requests": standing.requests,
        "run": standing.buyer,
        "waits_for": standing.waits_for,
        "to_do": standing.way_out,
    }


def _lines(standing: Standing) -> Iterator[str]:
    """Write a claim in flight for a person."""
    buyer = printable(standing.buyer)
    requests = counted(standing.requests, "request")
    yield ""
    yield f"{standing.shard}  {standing.state}: {requests} of {buyer}"
    yield f"    waits for  {printable(standing.waits_for)}"
    yield f"    to do      {printable(standing.way_out)}"


def _release(ledger: Ledger, shard: Shard, options: Namespace) -> None:
    from nightbatch.submit.release import InDoubt, release

    try:
        release(ledger.shard(shard), _now, BY_HAND)
    except InDoubt as doubt:
        _settle(ledger, shard, options, doubt)
    outcome = "is released: its requests are free to be claimed again"
    _show_outcome(options, shard, outcome)


def _show_outcome(options: Namespace, shard: Shard, outcome: str) -> None:
    result = {"shard": shard, "outcome": outcome}
    _printing.show(options, result, [f"{shard} {outcome}."])


def _settle(
    ledger: Ledger, shard: Shard, options: Namespace, doubt: NightbatchError
) -> None:
    """Find out whether a POST in doubt has bought a batch, and close the claim if not; else raise."""
    from nightbatch.submit.outcome import Late, Later
    from nightbatch.submit.submit import Submitter

    released_by_hand = Late(owned=True, why=BY_HAND)
    batches = _ports.batches(options)
    submitter = Submitter(ledger, batches, _now, submit_timing(), late=released_by_hand)
    outcome = submitter.submit(shard)
    if isinstance(outcome, Later):
        retry_time = f"{outcome.until:%Y-%m-%d %H:%M:%S}"
        raise NightbatchError(
            f"{doubt} {outcome.why}. Try again from {retry_time} UTC on."
        )
    if not isinstance(outcome, Late) and outcome.batch:
        raise NightbatchError(
            f"shard {shard} is batch {outcome.batch}: cancel that instead; what it answered is kept."
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _cancel(ledger: Ledger, shard: Shard, options: Namespace) -> None:
    batch_fact = ledger.batch(shard)
    if batch_fact is None:
        raise SettingsError(f"{shard} has no batch yet: there is nothing to cancel.")
    batch_id = batch_fact.batch
    _ports.batches(options).cancel(batch_id)
    outcome = f"is batch {batch_id}, which is being canceled: run the DAG again to land what it has answered"
    _show_outcome(options, shard, outcome)


def _shard(ledger: Ledger, name: str) -> Shard:
    """Read the number of a claim; raise SettingsError unless that claim is in flight."""
    shard = Shard(name.zfill(8))
    view = ledger.view()
    if shard in view.in_flight:
        return shard
    if shard in view.landed:
        raise SettingsError(f"{shard} has landed already.")
    raise SettingsError(f"{shard} is not a claim of this ledger.")
