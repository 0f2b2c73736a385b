"""Cancel a run for good: its batches end, and nothing more is bought for it, whoever retries it.

Answers that its batches have by then are paid for and kept: a task of the run lands them and then fails, or a new run
takes them. Claims that have no batch are given up. If a POST of the run is being sent just now, cancel it again later.
"""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from nightbatch.commands import _ports, _printing, _states
from nightbatch.errors import SettingsError
from nightbatch.ledger.facts import Canceled
from nightbatch.messages.safe_words import printable
from nightbatch.wording import counted


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    _states.argument(parser)
    parser.add_argument(
        "--run",
        required=True,
        type=_ports.run_name,
        metavar="DAG_ID/RUN_ID",
        help="the run, such as ticket_triage/manual__2026-11-21T08:00:00+00:00; command/ID for one of `nightbatch run`",
    )
    parser.add_argument(
        "--by",
        metavar="NAME",
        help="who cancels it, for the messages of its tasks; default: the user of this shell",
    )
    _ports.arguments(parser)
    _printing.argument(parser)


def run(options: Namespace) -> int:
    """Cancel, and print the outcome for each shard that was in flight."""
    from nightbatch.submit.cancel import cancel

    ledger = _states.ledger(options)
    batches = _ports.batches(options)
    wanted = Canceled(options.run, _now(), options.by or _user())
    cancellation = cancel(wanted, ledger, batches, _now)
    fact = cancellation.fact
    shards = [
        {"shard": shard, "outcome": outcome}
        for shard, outcome in cancellation.outcomes.items()
    ]
    result = {
        "run": fact.buyer,
        "canceled_by": fact.by,
        "canceled_at": fact.at,
        "shards": shards,
    }
    lines = [f"{shard['shard']}  {printable(shard['outcome'])}" for shard in shards]
    count = counted(len(shards), "shard")
    lines.append(
        f"{fact.buyer} is {fact.words}; {count} in flight. Nothing more is bought for it."
    )
    _printing.show(options, result, lines)
    return 0


def _now() -> datetime:
    return datetime.now(UTC)


def _user() -> str:
    """Return the name of the shell's user. Raises SettingsError where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise SettingsError(
            "this system has no name for its user: say who cancels by --by."
        ) from None
