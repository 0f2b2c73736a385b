"""Writes docs/parameters.md: `python -m nightbatch.local.parameters_page`."""

from __future__ import annotations

from pathlib import Path

from nightbatch.local.stack.settings import PROJECT
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.parameters.reference import page

PAGE = Path(PROJECT) / "docs" / "parameters.md"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(Enrichment), encoding="utf-8")


if __name__ == "__main__":
    main()
