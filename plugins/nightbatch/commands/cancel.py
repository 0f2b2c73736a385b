"""Cancel every batch of a run that has not ended.

What a batch has answered by then is paid for and stays: the run lands it, or the next one. Claims that have no batch
yet are named, not touched.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from nightbatch.commands import _ports


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "state", help="the state's URL, such as s3://lake/_nightbatch/ticket_triage/"
    )
    parser.add_argument(
        "--run",
        required=True,
        metavar="DAG_ID/RUN_ID",
        help="whose batches; as the ledger names it",
    )
    _ports.arguments(parser)


def run(given: Namespace) -> int:
    """Cancel, and say what became of each; 1 if the run has nothing in flight."""
    from nightbatch.submit.cancel import cancel

    told = list(
        cancel(given.run, _ports.ledger(given.state, given), _ports.batches(given))
    )
    for shard, outcome in told:
        print(f"{shard}  {outcome}")
    print(f"{len(told)} shards of {given.run} in flight")
    return 0 if told else 1
