"""Cancel every batch of a run that has not ended.

Answers that a batch has by then are paid for and kept: this run or the next one lands them. Claims that have no batch
yet are listed, not changed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from nightbatch.commands import _ports


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    _ports.state_argument(parser)
    parser.add_argument(
        "--run",
        required=True,
        metavar="DAG_ID/RUN_ID",
        help="whose batches; as the ledger names it",
    )
    _ports.arguments(parser)


def run(options: Namespace) -> int:
    """Cancel, and print the outcome for each shard; 1 if the run has nothing in flight."""
    from nightbatch.submit.cancel import cancel

    ledger = _ports.ledger(options.state, options)
    batches = _ports.batches(options)
    shard_outcomes = list(cancel(options.run, ledger, batches))
    for shard, outcome in shard_outcomes:
        print(f"{shard}  {outcome}")
    print(f"{len(shard_outcomes)} shards of {options.run} in flight")
    return 0 if shard_outcomes else 1
