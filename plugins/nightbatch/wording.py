"""The words of messages: a count with its noun, and the name that was probably meant by one that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def counted(number: int, singular: str, plural: str = "") -> str:
    """Write a number and its noun: `1 batch`, `2,000 batches`. `plural`: by default the singular and an s."""
    if number == 1:
        return f"{number:,} {singular}"
    plural_noun = plural or f"{singular}s"
    return f"{number:,} {plural_noun}"


def closest(name: str, known_names: Iterable[str]) -> str | None:
    """Return the known name that is most like a name; None where none is close."""
    matches = get_close_matches(name, sorted(known_names), n=1)
    return matches[0] if matches else None


def did_you_mean(name: str, known_names: Iterable[str]) -> str:
    """Return a sentence such as ` Did you mean 'model'?`; empty where no name is close."""
    meant = closest(name, known_names)
    return f" Did you mean {meant!r}?" if meant else ""


def unknown(subject: str, names: Sequence[str], known_names: Sequence[str]) -> str:
    """Say that names are not known, which was probably meant by the first one, and which are known."""
    listed = ", ".join(map(repr, names))
    meant = did_you_mean(names[0], known_names)
    known = ", ".join(known_names)
    return f"{subject} {listed}.{meant} Known: {known}."
