"""Where in a template something is: its line, its column, and the tag that holds it, for errors."""

from __future__ import annotations

import re

_CLOSER = re.compile(r"\}\}|%\}|#\}")
_OPENERS = ("{{", "{%", "{#")
_MOST_CHARACTERS = 80
_MOST_READ = 1_000


def where(source: str, offset: int) -> str:
    """Name the line and column of an offset, each counted from 1, as the end of a sentence."""
    line = source.count("\n", 0, offset) + 1
    column = offset - source.rfind("\n", 0, offset)
    return f", at line {line}, column {column} of the template"


def tag(source: str, offset: int) -> str:
    """Return the tag at an offset, such as `{{ body | upper }}`, in one line and cut to a readable length."""
    before_end = offset + 2
    opener_starts = [source.rfind(opener, 0, before_end) for opener in _OPENERS]
    start = max(0, *opener_starts)
    end = start + _MOST_READ
    closer = _CLOSER.search(source, offset)
    if closer:
        end = min(end, closer.end())
    markup = source[start:end]
    one_line = " ".join(markup.split())
    if len(one_line) <= _MOST_CHARACTERS:
        return one_line
    shown_line = one_line[: _MOST_CHARACTERS - 1]
    return f"{shown_line}…"
