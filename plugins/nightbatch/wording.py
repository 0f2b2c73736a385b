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


def quoted(names: Iterable[str]) -> str:
    """List names in quotes: `'modl', 'promt'`."""
    return ", ".join(map(repr, names))


def known_instead(name: str, known_names: Sequence[str]) -> str:
    """Return sentences such as ` Did you mean 'model'? Known: model, prompt.`"""
    meant = did_you_mean(name, known_names)
    listed_names = ", ".join(known_names)
    return f"{meant} Known: {listed_names}."
