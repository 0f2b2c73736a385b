"""Remove staged rows and prompts, and the models' raw texts, that are older than an age.

Which requests are settled, and their answers, stay: a rerun after it buys nothing that was bought before.
Give an age that no run of yours exceeds.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta

from nightbatch.commands import _ports
from nightbatch.spec.locations import parse

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "state", help="the state's URL, such as s3://lake/_nightbatch/ticket_triage/"
    )
    parser.add_argument(
        "--older-than",
        type=age,
        required=True,
        metavar="AGE",
        help="such as 30d, 12h or 4w",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be removed"
    )
    _ports.arguments(parser, api=False)


def age(text: str) -> timedelta:
    """Read an age: a whole number and h, d or w."""
    given = re.fullmatch(r"(\d+)([hdw])", text)
    if not given or not int(given[1]):
        raise ArgumentTypeError(f"{text!r} is not an age such as 30d, 12h or 4w")
    return timedelta(**{UNITS[given[2]]: int(given[1])})


def run(given: Namespace) -> int:
    """Expire what is old enough."""
    from nightbatch.ledger.expire import expire
    from nightbatch.ledger.ledger import Ledger

    now = datetime.now(UTC)
    store = _ports.store(parse(given.state, "state").url, given)
    done = expire(Ledger(store), store, now - given.older_than, now, dry=given.dry_run)
    verb = "would be" if given.dry_run else "were"
    print(
        f"{len(done.snapshots)} staged snapshots and the raw texts of {len(done.shards)} landed shards {verb} removed"
    )
    if done.kept:
        print(f"{len(done.kept)} old snapshots stay: claims of theirs are in flight")
    return 0
