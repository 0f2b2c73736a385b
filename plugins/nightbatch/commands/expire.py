"""Remove staged rows and prompts, and the models' raw texts, that are older than an age.

Answers, and the list of settled requests, are kept: a later rerun buys nothing that was bought before.
Give an age that is longer than any of your runs.
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
    _ports.state_argument(parser)
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
    age_match = re.fullmatch(r"(\d+)([hdw])", text)
    unit_count = int(age_match[1]) if age_match else 0
    if not age_match or not unit_count:
        raise ArgumentTypeError(f"{text!r} is not an age such as 30d, 12h or 4w")
    unit_name = UNITS[age_match[2]]
    return timedelta(**{unit_name: unit_count})


def run(options: Namespace) -> int:
    """Expire what is old enough."""
    from nightbatch.ledger.expire import expire
    from nightbatch.ledger.ledger import Ledger

    now = datetime.now(UTC)
    expires_before = now - options.older_than
    location = parse(options.state, "state")
    store = _ports.store(location.url, options)
    expired = expire(Ledger(store), store, expires_before, now, dry=options.dry_run)
    verb = "would be" if options.dry_run else "were"
    print(
        f"{len(expired.snapshots)} staged snapshots and the raw texts of {len(expired.shards)} landed shards "
        f"{verb} removed"
    )
    if expired.kept:
        print(f"{len(expired.kept)} old snapshots stay: claims of theirs are in flight")
    return 0
