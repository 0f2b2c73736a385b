"""The command line: `python -m nightbatch COMMAND …`, for enriching without Airflow and for maintaining a state."""

from __future__ import annotations

import argparse
import gc
import inspect
import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pkgutil import iter_modules

from nightbatch import commands
from nightbatch.errors import NightbatchError, SettingsError
from nightbatch.io.anthropic_sdk.client import QUIET_LOGGERS
from nightbatch.messages.safe_words import printable

FAILED = 1
WRONG_USE = 2
NEW_OBJECTS = 50_000
"""Between two rounds of the cycle collector. At Python's 700, importing the SDKs takes a quarter longer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0: done, 1: it failed, 2: wrong use. An error of ours is printed without a traceback."""
    gc.set_threshold(NEW_OBJECTS)
    options = parser().parse_args(arguments)
    options.output = sys.stdout
    # An Airflow that a DAG's file imports would print what these libraries do.
    for logger_name in QUIET_LOGGERS:
        logging.getLogger(logger_name).setLevel(logging.WARNING)
    try:
        # Where a DAG's file imports Airflow, or prints something, standard output is not the result alone.
        with redirect_stdout(sys.stderr):
            return int(options.act(options) or 0)
    except NightbatchError as error:
        message = printable(str(error))
        print(f"nightbatch {options.command}: {message}", file=sys.stderr)
        return WRONG_USE if isinstance(error, SettingsError) else FAILED


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    main_parser = argparse.ArgumentParser(
        prog="nightbatch",
        description="Enrich a dataset, estimate what that would cost, and look after what was bought.",
    )
    subparsers = main_parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    for module in iter_modules(commands.__path__):
        if module.name.startswith("_"):
            continue
        command = import_module(f"{commands.__name__}.{module.name}")
        description = inspect.getdoc(command) or ""
        first_line, _, _ = description.partition("\n")
        command_parser = subparsers.add_parser(
            module.name, help=first_line.rstrip("."), description=description
        )
        command.arguments(command_parser)
        command_parser.set_defaults(act=command.run)
    return main_parser


if __name__ == "__main__":
    sys.exit(main())
