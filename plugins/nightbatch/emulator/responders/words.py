"""Short texts made of a prompt's own words, so that a person sees at a glance which answer belongs to which prompt."""

import zlib
from collections.abc import Sequence
from typing import TypeVar

Value = TypeVar("Value")

_PLAIN = """
    about after also been from have here into more only other over please some that their them then there they this very
    were what when where which while will with would your
"""
_COMMON = frozenset(_PLAIN.split())
_OPENINGS = (
    "This is about",
    "The text speaks of",
    "In short:",
    "It comes down to",
    "The matter is",
)


class Chance:
    """A cheap source of choices, fixed by a text and a seed: the same prompt gets the same answer."""

    def __init__(self, text: str, seed: int) -> None:
        self._state = zlib.crc32(text.encode(), seed & 0xFFFFFFFF)

    def below(self, most: int) -> int:
        """Return a number from 0 to `most` - 1."""
        self._state = (
            self._state * 6364136223846793005 + 1442695040888963407
        ) & 0xFFFFFFFFFFFFFFFF
        return (self._state >> 33) % most

    def share(self) -> float:
        """Return a number from 0 to 1."""
        return self.below(1 << 30) / (1 << 30)

    def pick(self, values: Sequence[Value]) -> Value:
        """Return one of some values."""
        return values[self.below(len(values))]


def pick_words(text: str, chance: Chance, most: int) -> list[str]:
    """Return up to `most` telling words of a text, in its order."""
    found = [
        word
        for word in text[:300].lower().split()
        if len(word) > 3 and word not in _COMMON and word.isalpha()
    ]
    skipped = chance.below(max(1, len(found) - most + 1))
    return list(dict.fromkeys(found[skipped : skipped + most]))


def sentence(text: str, chance: Chance) -> str:
    """Return one sentence made of words of the text."""
    words = pick_words(text, chance, 5)
    return f"{chance.pick(_OPENINGS)} {', '.join(words) or 'nothing in particular'}."
