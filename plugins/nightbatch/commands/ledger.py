"""List the claims of a state that have not landed: what each waits for, and the way out.

`--release SHARD` gives up a claim that has no batch: its requests are free to be claimed again. Where a POST is in
doubt, its batch is looked for first, and the claim is given up only once none can be it.
`--cancel SHARD` cancels the batch of a claim: what it has answered by then is kept and billed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightbatch.airflow.timing import timing
from nightbatch.commands import _ports
from nightbatch.errors import NightbatchError, SettingsError
from nightbatch.ids import Shard
from nightbatch.messages.safe_words import printable

if TYPE_CHECKING:
    from nightbatch.ledger.ledger import Ledger

BY_HAND = "released by hand"


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "state", help="the state's URL, such as s3://lake/_nightbatch/ticket_triage/"
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--release", metavar="SHARD", help="give up a claim that has bought nothing"
    )
    one.add_argument("--cancel", metavar="SHARD", help="cancel the batch of a claim")
    _ports.arguments(parser)


def run(given: Namespace) -> int:
    """List, release or cancel."""
    ledger = _ports.ledger(given.state, given)
    if given.release:
        _release(ledger, _shard(ledger, given.release), given)
    elif given.cancel:
        _cancel(ledger, _shard(ledger, given.cancel), given)
    else:
        _list(ledger, given)
    return 0


def _list(ledger: Ledger, given: Namespace) -> None:
    from nightbatch.submit.standing import standings

    view = ledger.view()
    print(
        f"{len(view.claimed)} claims: {len(view.landed)} landed, {len(view.in_flight)} in flight"
    )
    if not view.in_flight:
        return
    for one in standings(
        ledger, _ports.batches(given), _now(), timing(), view.in_flight
    ):
        print(
            f"\n{one.shard}  {one.state}: {one.requests} requests of {printable(one.buyer)}"
        )
        print(f"    waits for  {printable(one.waits_for)}")
        print(f"    way out    {printable(one.way_out)}")


def _release(ledger: Ledger, shard: Shard, given: Namespace) -> None:
    from nightbatch.submit.release import InDoubt, release

    try:
        release(shard, ledger, _now, BY_HAND)
    except InDoubt as doubt:
        _settle(ledger, shard, given, doubt)
    print(f"{shard} is released: its requests are free to be claimed again.")


def _settle(
    ledger: Ledger, shard: Shard, given: Namespace, doubt: NightbatchError
) -> None:
    """Find out whether a POST in doubt has bought a batch, and give the claim up if not; else raise."""
    from nightbatch.submit.submit import Buyer, Late, Later

    buyer = Buyer(
        ledger,
        _ports.batches(given),
        _now,
        timing(),
        late=Late(owned=True, why=BY_HAND),
    )
    outcome = buyer.submit(shard)
    if isinstance(outcome, Later):
        raise NightbatchError(
            f"{doubt} {outcome.why}. Try again from {outcome.until:%Y-%m-%d %H:%M:%S} UTC on."
        )
    if not isinstance(outcome, Late) and outcome.batch:
        raise NightbatchError(
            f"shard {shard} is batch {outcome.batch}: cancel that instead; what it answered is kept."
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _cancel(ledger: Ledger, shard: Shard, given: Namespace) -> None:
    bought = ledger.batch(shard)
    if bought is None:
        raise SettingsError(f"{shard} has no batch yet: there is nothing to cancel.")
    _ports.batches(given).cancel(bought.batch)
    print(
        f"{bought.batch} is being cancelled: run the DAG again to land what it has answered."
    )


def _shard(ledger: Ledger, name: str) -> Shard:
    view = ledger.view()
    shard = Shard(name.zfill(8))
    if shard not in view.in_flight:
        known = (
            "has landed already"
            if shard in view.landed
            else "is not a claim of this ledger"
        )
        raise SettingsError(f"{shard} {known}.")
    return shard
