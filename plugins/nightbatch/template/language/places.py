"""Where in a template something is: its line, its column, and the tag that holds it, for errors."""

from __future__ import annotations

import re

_CLOSER = re.compile(r"\}\}|%\}|#\}")
_MOST_CHARACTERS = 80


def where(source: str, offset: int) -> str:
    """Name the line and column of an offset, each counted from 1, as the end of a sentence."""
    line = source.count("\n", 0, offset) + 1
    column = offset - source.rfind("\n", 0, offset)
    return f", at line {line}, column {column} of the template"


def tag(source: str, offset: int) -> str:
    """Return the tag at an offset, such as `{{ body | upper }}`, in one line and cut to a readable length."""
    opener_starts = [
        source.rfind(opener, 0, offset + 2) for opener in ("{{", "{%", "{#")
    ]
    start = max(0, *opener_starts)
    closer = _CLOSER.search(source, offset)
    end = closer.end() if closer else len(source)
    one_line = " ".join(source[start : min(end, start + 1_000)].split())
    if len(one_line) <= _MOST_CHARACTERS:
        return one_line
    return one_line[: _MOST_CHARACTERS - 1] + "…"
