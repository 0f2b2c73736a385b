"""The pages that a reader sees, and the code blocks of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language (`sh`, `python`, `text`) and what stands in it."""

    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page that name a language, from the first to the last."""
    for language, text in _BLOCK.findall(page.read_text()):
        yield Block(language, text)
