"""Short texts of a prompt's own words, so that a person sees at a glance which answer belongs to which prompt."""

import zlib
from collections.abc import Sequence
from typing import TypeVar

Value = TypeVar("Value")

_PLAIN = """
    about after also been from have here into more only other over please some that their them then there they this very
    were what when where which while will with would your
"""
_COMMON = frozenset(_PLAIN.split())
_MULTIPLIER = 6364136223846793005
_INCREMENT = 1442695040888963407
_UINT64_MAX = 0xFFFFFFFFFFFFFFFF
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
        """Return a number from 0 to `most` - 1, by one step of a 64-bit linear congruential generator."""
        next_state = self._state * _MULTIPLIER + _INCREMENT
        self._state = next_state & _UINT64_MAX
        return (self._state >> 33) % most

    def share(self) -> float:
        """Return a number from 0 to 1."""
        return self.below(1 << 30) / (1 << 30)

    def pick(self, values: Sequence[Value]) -> Value:
        """Return one of the values."""
        return values[self.below(len(values))]


def pick_words(text: str, chance: Chance, most: int) -> list[str]:
    """Return up to `most` distinctive words of a text, in its order."""
    candidates = _distinctive_words(text[:300])
    last_start = max(0, len(candidates) - most)
    start = chance.below(last_start + 1)
    end = start + most
    picked_words = candidates[start:end]
    return list(dict.fromkeys(picked_words))


def _distinctive_words(text: str) -> list[str]:
    all_words = text.lower().split()
    return [word for word in all_words if _is_distinctive(word)]


def _is_distinctive(word: str) -> bool:
    return len(word) > 3 and word not in _COMMON and word.isalpha()


def sentence(text: str, chance: Chance) -> str:
    """Return one sentence made of words of the text."""
    subject = ", ".join(pick_words(text, chance, 5)) or "nothing in particular"
    opening = chance.pick(_OPENINGS)
    return f"{opening} {subject}."
