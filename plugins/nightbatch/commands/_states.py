"""Which state a command looks after: that of a URL, or that of the Enrichment of a Python file, such as a DAG's."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nightbatch.commands import _enrichments, _ports
from nightbatch.errors import SettingsError
from nightbatch.spec.locations import parse

if TYPE_CHECKING:
    from nightbatch.ledger.ledger import Ledger

EXAMPLE = "s3://lake/_nightbatch/ticket_triage/"
METAVAR = "STATE|FILE[:NAME]"


def argument(parser: ArgumentParser) -> None:
    """Add the argument that names the state."""
    parser.add_argument(
        "state",
        metavar=METAVAR,
        help=f"the state's URL, such as {EXAMPLE}, or a Python file with an Enrichment at module level, such as "
        "dags/ticket_triage.py, whose state is meant; NAME: which, of several",
    )


def ledger(options: Namespace) -> Ledger:
    """Open the ledger that the argument names. Raises SettingsError if there is none."""
    place: str = options.state
    if "://" in place:
        return of_url(place, options)
    return _of_file(place, options)


def of_url(url: str, options: Namespace) -> Ledger:
    """Open the ledger below a URL. Raises SettingsError if there is none."""
    from nightbatch.ledger.ledger import Ledger

    location = parse(url, "state")
    state_ledger = Ledger(_ports.store(location.url, options))
    if not state_ledger.is_there:
        raise SettingsError(
            f"state: there is no ledger of nightbatch below {state_ledger.store.url}. Check the URL."
        )
    return state_ledger


def _of_file(place: str, options: Namespace) -> Ledger:
    """Open the ledger of a file's enrichment. Raises SettingsError if it has none yet."""
    from nightbatch.ledger.ledger import Ledger
    from nightbatch.ledger.state.state import find_state

    file_name, _, _ = place.partition(":")
    if not Path(file_name).is_file():
        raise SettingsError(
            f"state: {file_name} is not a Python file, nor the URL of a state such as {EXAMPLE}."
        )
    job = _enrichments.of_file(place)
    if not job.target and not job.state:
        raise SettingsError(
            f"{place}: this Enrichment has neither a target nor a state. Give the URL of the state itself."
        )
    open_store = partial(_ports.store, options=options)
    url = find_state(job, open_store)
    if url is None:
        raise SettingsError(
            f"{place}: there is no ledger of nightbatch below {job.state_url}: nothing has run with this target and "
            "state. If a run named others, give the URL of its state."
        )
    return Ledger(open_store(url))
