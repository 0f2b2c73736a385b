"""Numbers of things, in words that agree with the number."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """Write a number and its noun: `1 batch`, `2,000 batches`. `plural`: by default the singular and an s."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
