"""Finds the name that was probably meant by one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known_names: Iterable[str]) -> str:
    """Return a sentence such as ` Did you mean 'model'?`; empty where no name is close."""
    closest = get_close_matches(name, sorted(known_names), n=1)
    return f" Did you mean {closest[0]!r}?" if closest else ""
