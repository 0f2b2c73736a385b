"""The command line: one flag for every setting."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nightbatch.emulator.faults.rules import specs_of
from nightbatch.emulator.settings import BatchDuration, Limits, Settings
from nightbatch.emulator.wire import Json


def parse_flags(arguments: Sequence[str] | None = None) -> Settings:
    """Return the settings that the command line asks for."""
    parsed = _parser().parse_args(arguments)
    limits = Limits(
        max_requests=parsed.max_requests,
        max_bytes=parsed.max_bytes,
        requests_per_minute=parsed.requests_per_minute,
        count_tokens_per_minute=parsed.count_tokens_per_minute,
        queue=parsed.queue_limit,
        expires_after=parsed.expires_after,
        results_for=parsed.results_for,
    )
    pace = BatchDuration(
        seconds=parsed.seconds,
        begins_after=parsed.begins_after,
        retry_after=parsed.retry_after,
    )
    return Settings(
        host=parsed.host,
        port=parsed.port,
        allowed_hosts=frozenset(map(str.lower, parsed.allow_host)),
        seed=parsed.seed,
        responder=parsed.responder,
        api_keys=frozenset(parsed.api_key),
        clock_offset=parsed.clock_offset,
        timestamps=parsed.timestamps,
        cancel_ended=parsed.cancel_ended,
        results_type=parsed.results_type,
        gzip=parsed.gzip,
        state=parsed.state,
        limits=limits,
        faults=tuple(_faults(parsed.fault, parsed.faults)),
        pace=pace,
    )


def _faults(specs: Sequence[str], files: Sequence[Path]) -> Iterator[Any]:
    """Yield the specs of `--faults FILE` and of `--fault`, which is JSON or `where:what:key=value,…`."""
    for path in files:
        yield from specs_of(json.loads(path.read_text()))
    for text in specs:
        yield _spec(text)


def _spec(text: str) -> Any:
    if text.lstrip().startswith("{"):
        return json.loads(text)
    return _short_spec(text)


def _short_spec(text: str) -> Json:
    """Return the spec written as `where:what:key=value,…`; a missing part is empty."""
    where, _, rest = text.partition(":")
    what, _, options = rest.partition(":")
    spec = {"where": where, "what": what}
    for option in filter(None, options.split(",")):
        option_name, _, value_text = option.partition("=")
        spec[option_name] = _value(value_text)
    return spec


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nightbatch.emulator", description="A local Message Batches API."
    )
    _add_server(parser)
    _add_answers(parser)
    _add_faults(parser)
    _add_time(parser)
    _add_limits(parser)
    return parser


def _add_server(parser: argparse.ArgumentParser) -> None:
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


def _add_answers(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
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
        help="status of canceling an ended batch",
    )


def _add_faults(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
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


def _add_time(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--seconds",
        type=float,
        default=BatchDuration.seconds,
        help="a batch of n requests lasts this x (1 + log10 n)",
    )
    add(
        "--begins-after",
        type=float,
        default=BatchDuration.begins_after,
        help="share of a batch's time until an answer begins",
    )
    add(
        "--retry-after",
        type=int,
        default=BatchDuration.retry_after,
        help="the hint on a poll",
    )
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
