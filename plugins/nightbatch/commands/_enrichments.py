"""What a command enriches: an `Enrichment` of a Python file, such as a DAG's, which JSON and flags then change."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from nightbatch.errors import NightbatchError, SettingsError
from nightbatch.spec.enrichment import Enrichment

MODULE = "nightbatch_enrichment_file"
"""The name under which the file is imported: no other module has it."""


def argument(parser: ArgumentParser) -> None:
    """Add the argument that names a file."""
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE[:NAME]",
        help="a Python file with an Enrichment at module level, such as dags/ticket_triage.py; NAME: which, of several",
    )


def of_file(place: str) -> Enrichment:
    """Return the enrichment that `FILE` or `FILE:NAME` names. The file is imported, and so is all that it imports.

    Raises SettingsError where there is none, or several and no name.
    """
    file_name, _, name = place.partition(":")
    enrichments = _enrichments(_imported(Path(file_name)))
    names = ", ".join(sorted(enrichments)) or "none"
    if name:
        if name not in enrichments:
            raise SettingsError(
                f"{file_name} has no Enrichment {name!r} at module level; it has: {names}."
            )
        return enrichments[name]
    if not enrichments:
        raise SettingsError(
            f"{file_name} has no Enrichment at module level. Give it a name there, such as `triage = Enrichment(…)`."
        )
    if len({id(enrichment) for enrichment in enrichments.values()}) > 1:
        raise SettingsError(
            f"{file_name} has several: {names}. Name one, as {file_name}:{min(enrichments)}."
        )
    return next(iter(enrichments.values()))


def _enrichments(module: ModuleType) -> dict[str, Enrichment]:
    """Return the enrichments of a module by the names that they have in it."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Enrichment)
    }


def _imported(path: Path) -> ModuleType:
    """Import a file. Raises SettingsError where that fails, with the error of the file."""
    spec = spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SettingsError(f"{path} is not a Python file.")
    module = module_from_spec(spec)
    sys.modules[MODULE] = module  # a pydantic model looks for the module that it is in
    try:
        spec.loader.exec_module(module)
    except NightbatchError as error:
        raise SettingsError(f"{path} cannot be imported: {error}") from None
    except Exception as error:
        error_name = type(error).__name__
        raise SettingsError(
            f"{path} cannot be imported: {error_name}: {error}"
        ) from None
    return module
