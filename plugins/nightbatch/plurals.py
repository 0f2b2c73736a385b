"""Counts with a noun in the singular or plural."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """Write a number and its noun: `1 batch`, `2,000 batches`. `plural`: by default the singular and an s."""
    if number == 1:
        return f"{number:,} {singular}"
    plural_noun = plural or f"{singular}s"
    return f"{number:,} {plural_noun}"
