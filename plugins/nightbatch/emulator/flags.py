"""The command line: every setting has its flag."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nightbatch.emulator.faults.rules import specs_of
from nightbatch.emulator.settings import Limits, Pace, Settings


def parse_flags(arguments: Sequence[str] | None = None) -> Settings:
    """Return the settings that the command line asks for."""
    given = _parser().parse_args(arguments)
    limits = Limits(
        given.max_requests,
        given.max_bytes,
        given.requests_per_minute,
        given.count_tokens_per_minute,
        given.queue_limit,
        given.expires_after,
        given.results_for,
    )
    return Settings(
        host=given.host,
        port=given.port,
        allowed_hosts=frozenset(map(str.lower, given.allow_host)),
        seed=given.seed,
        responder=given.responder,
        api_keys=frozenset(given.api_key),
        clock_offset=given.clock_offset,
        timestamps=given.timestamps,
        cancel_ended=given.cancel_ended,
        results_type=given.results_type,
        gzip=given.gzip,
        state=given.state,
        limits=limits,
        faults=tuple(_faults(given.fault, given.faults)),
        pace=Pace(given.seconds, given.begins_after, given.retry_after),
    )


def _faults(written: Sequence[str], files: Sequence[Path]) -> Iterator[Any]:
    """Yield the specs of `--faults FILE` and of `--fault`, which is JSON or `where:what:key=value,…`."""
    for path in files:
        yield from specs_of(json.loads(path.read_text()))
    for text in written:
        if text.lstrip().startswith("{"):
            yield json.loads(text)
            continue
        where, what, options = (*text.split(":", 2), "", "")[:3]
        pairs = (pair.partition("=") for pair in options.split(",") if pair)
        yield {"where": where, "what": what} | {
            name: _value(value) for name, _, value in pairs
        }


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nightbatch.emulator", description="A local Message Batches API."
    )
    add = parser.add_argument
    add(
        "--host",
        default=Settings.host,
        help="address to listen on (default: loopback only)",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME[:PORT]",
        help="a name that callers may use besides loopback's at this server's port; without PORT at any port",
    )
    add(
        "--port",
        type=int,
        default=Settings.port,
        help="0 (default): choose one; the base URL is printed when ready",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="seeds the order of results, the answers and the faults",
    )
    add(
        "--responder",
        default=Settings.responder,
        metavar="MODULE:CALLABLE",
        help="who answers: params -> answer",
    )
    add(
        "--api-key",
        action="append",
        default=[],
        metavar="KEY",
        help="accept this key (again for more); default: any",
    )
    add(
        "--state",
        type=Path,
        metavar="DIR",
        help="keep everything in DIR, to go on after a restart",
    )
    add(
        "--results-type",
        default=Settings.results_type,
        metavar="TYPE",
        help="the content-type of results",
    )
    add(
        "--gzip",
        action="store_true",
        help="compress results for clients that accept it",
    )
    add(
        "--cancel-ended",
        type=int,
        choices=(200, 400, 409),
        default=400,
        help="status of cancelling an ended batch",
    )
    add(
        "--fault",
        action="append",
        default=[],
        metavar="WHERE:WHAT[:KEY=VALUE,…]",
        help="a fault, or its JSON",
    )
    add(
        "--faults",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a JSON file with a list of faults",
    )
    _add_time(parser)
    _add_limits(parser)
    return parser


def _add_time(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--seconds",
        type=float,
        default=Pace.seconds,
        help="a batch of n requests lasts this x (1 + log10 n)",
    )
    add(
        "--begins-after",
        type=float,
        default=Pace.begins_after,
        help="share of a batch's time until an answer begins",
    )
    add("--retry-after", type=int, default=Pace.retry_after, help="the hint on a poll")
    add(
        "--clock-offset",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how far its clock is ahead of this one",
    )
    add(
        "--timestamps",
        choices=("zulu", "offset", "seconds"),
        default="zulu",
        help="the form of timestamps",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--max-requests",
        type=int,
        default=Limits.max_requests,
        help="requests in one batch",
    )
    add("--max-bytes", type=int, default=Limits.max_bytes, help="bytes in one batch")
    add(
        "--requests-per-minute",
        type=int,
        default=Limits.requests_per_minute,
        help="calls to batch endpoints",
    )
    add(
        "--count-tokens-per-minute",
        type=int,
        default=Limits.count_tokens_per_minute,
        help="calls to count_tokens",
    )
    add(
        "--expires-after",
        type=float,
        default=Limits.expires_after,
        metavar="SECONDS",
        help="life of a batch",
    )
    add(
        "--results-for",
        type=float,
        default=Limits.results_for,
        metavar="SECONDS",
        help="life of its results",
    )
    add(
        "--queue-limit", type=int, default=Limits.queue, help="requests waiting at once"
    )
