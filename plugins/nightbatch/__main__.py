"""The command line: `python -m nightbatch COMMAND …`, for a person who looks after a state."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from nightbatch import commands
from nightbatch.errors import NightbatchError
from nightbatch.messages.safe_words import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 if it failed with an error of ours, which is told without a trace."""
    given = parser().parse_args(arguments)
    try:
        return int(given.act(given) or 0)
    except NightbatchError as error:
        print(f"nightbatch {given.command}: {printable(str(error))}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    made = argparse.ArgumentParser(
        prog="nightbatch", description="Look after a state and what it has bought."
    )
    parts = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in iter_modules(commands.__path__):
        command = import_module(f"{commands.__name__}.{module.name}")
        text = inspect.getdoc(command) or ""
        part = parts.add_parser(
            module.name, help=text.partition("\n")[0].rstrip("."), description=text
        )
        command.arguments(part)
        part.set_defaults(act=command.run)
    return made


if __name__ == "__main__":
    sys.exit(main())
