"""Remove staged rows and prompts, and the models' raw texts, that are older than an age.

Answers, and the list of settled requests, are kept: a later rerun buys nothing that was bought before.
Give an age that is longer than any of your runs.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nightbatch.commands import _ports, _printing, _states
from nightbatch.wording import counted

if TYPE_CHECKING:
    from nightbatch.ledger.expire import Expired

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    _states.argument(parser)
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
    _printing.argument(parser)


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

    now = datetime.now(UTC)
    expires_before = now - options.older_than
    ledger = _states.ledger(options)
    facts = _ports.store(ledger.store.url, options)
    expired = expire(ledger, facts, expires_before, now, dry=options.dry_run)
    result = {
        "dry_run": options.dry_run,
        "snapshots": expired.snapshots,
        "shards": expired.shards,
        "kept": expired.kept,
    }
    _printing.show(options, result, _lines(expired, dry_run=options.dry_run))
    return 0


def _lines(expired: Expired, *, dry_run: bool) -> Iterator[str]:
    """Say what was removed, and what was not."""
    verb = "would be" if dry_run else "were"
    snapshots = counted(len(expired.snapshots), "staged snapshot")
    shards = counted(len(expired.shards), "landed shard")
    yield f"{snapshots} and the raw texts of {shards} {verb} removed"
    if expired.kept:
        old_snapshots = counted(len(expired.kept), "old snapshot")
        yield f"not removed, since claims of theirs are in flight: {old_snapshots}"
