"""Enrich one partition in this process, from its rows to its published files, without Airflow: for cron and CI.

The parameters are those of `estimate`. Nothing is bought that was bought before: a run that was interrupted is run
again, and goes on. While batches are in progress this process waits. Its messages go to standard error, the report of
what was published to standard output, with --json as one object. The exit code is 0 where the partition is
published, 1 where nothing was published, and 2 where the command was used wrongly.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from nightbatch.airflow.connections import policy
from nightbatch.amounts import usd
from nightbatch.commands import _parameters, _ports, _printing, estimate
from nightbatch.errors import CapExceeded, InputError, SettingsError
from nightbatch.ids import BatchId
from nightbatch.money.approval import needs_approval
from nightbatch.publish.report import lines

if TYPE_CHECKING:
    from nightbatch.flow import World
    from nightbatch.ports import Batch, Store, Table
    from nightbatch.spec.enrichment import Enrichment
    from nightbatch.spec.run_ref import RunRef
    from nightbatch.wait.progress import Progress

UPLOADS = 3
"""Bodies that are sent at the same time."""
BAR_WIDTH = 24
WRONG_USE = 2


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    estimate.arguments(parser)
    parser.add_argument(
        "--run-id",
        metavar="ID",
        help="name of the run in the ledger, below `command/` unless it holds a slash; default: one of the time",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="buy even above approve_above_usd, without asking",
    )


def run(options: Namespace) -> int:
    """Run the flow and print its report."""
    from nightbatch import flow

    try:
        settings = _settings(options)
        settings.check()
        policy().check(settings)
        settings = policy().narrowed(settings)
    except InputError as error:
        print(f"nightbatch run: {error}", file=sys.stderr)
        return WRONG_USE
    run_id = options.run_id or f"{flow.utc_now():%Y%m%dT%H%M%S.%f}"
    if "/" not in run_id:
        run_id = f"command/{run_id}"
    _say(f"Run {run_id} of {settings.source_url}")
    report = flow.run(settings, _world(options), run_id)
    _printing.show(options, report, lines(report))
    return 0


def _settings(options: Namespace) -> Enrichment:
    """Read the parameters, under the cap that the deployment has."""
    from nightbatch import flow

    settings = _parameters.enrichment(options)
    if settings.target == _parameters.NOWHERE:
        raise SettingsError(
            "target: is missing; name the folder that receives the partitions."
        )
    return _parameters.of_partition(settings, flow.utc_now().date())


def _world(options: Namespace) -> World:
    """Open the stores and the API; log to standard error."""
    from nightbatch.flow import World
    from nightbatch.submit.decide import submit_timing

    api = _ports.batches(options)
    world = World(
        open_store=partial(_ports.store, options=options),
        api=api,
        submit_timing=submit_timing(),
        count_tokens=api.count_tokens if _ports.has_api_key(options) else None,
        uploads=UPLOADS,
        info=_say,
        warning=_warn,
        open_target=partial(_target, options=options),
        show=_Bar().show if sys.stderr.isatty() else None,
    )
    return (
        world
        if options.yes
        else replace(world, approve=partial(_check_approval, world=world))
    )


def _target(ref: RunRef, options: Namespace) -> Store | Table:
    """Open the folder or the table that is published into."""
    if not ref.rules.table:
        return _ports.store(ref.target, options)
    if not options.aws_conn:
        raise SettingsError(
            "table: a catalog is an Airflow connection; name the one of its files by --aws-conn too."
        )
    from nightbatch.airflow import iceberg

    return iceberg.table(ref)


def _check_approval(ref: RunRef, world: World) -> None:
    """Refuse a purchase that a person would have to approve: a command has nobody to ask."""
    from nightbatch.plan.offer import quote

    if ref.rules.approve_above_usd is None:
        return
    offer = quote(ref, world.ledger(ref.state), world.now, world.count_tokens)
    if needs_approval(ref, offer.estimate):
        raise CapExceeded(
            f"approve_above_usd={ref.rules.approve_above_usd:g}: {offer.estimate.requests:,} requests may cost "
            f"{usd(offer.estimate.at_most)}. Nothing was bought. Run again with --yes to buy them."
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)


class _Bar:
    """A bar of the requests whose batches have ended, drawn over itself on a terminal."""

    def show(
        self, progress: Progress, ended: Mapping[BatchId, Batch | None], now: datetime
    ) -> None:
        """Draw it."""
        batches = progress.batches
        total = sum(batch.requests for batch in batches)
        done = sum(batch.requests for batch in batches if batch.id in ended)
        filled = BAR_WIDTH * done // total if total else BAR_WIDTH
        empty = BAR_WIDTH - filled
        bar = "█" * filled + "░" * empty
        is_over = len(ended) == len(batches)
        print(
            f"\r\033[K{bar} {progress.words(ended, now)}",
            end="\n" if is_over else "",
            file=sys.stderr,
            flush=True,
        )
