"""What a command prints to standard output: lines for a person, or with --json one value for a program."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import Any

import msgspec


def argument(parser: ArgumentParser) -> None:
    """Add the flag that asks for JSON."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def show(options: Namespace, result: Any, lines: Iterable[str]) -> None:
    """Print the result to the output that the command began with, as JSON if that was asked for."""
    text = msgspec.json.encode(result).decode() if options.json else "\n".join(lines)
    print(text, file=options.output)
