"""Short texts made of a prompt's own words, so that a person sees at a glance which answer belongs to which prompt."""

import random
import re
import zlib

_PLAIN = """
    about after also been from have here into more only other over please some that their them then there they this very
    were what when where which while will with would your
"""
_COMMON = frozenset(_PLAIN.split())
_OPENINGS = ("This is about", "The text speaks of", "In short:", "It comes down to", "The matter is")
_WORD = re.compile(r"[^\W\d_]{4,}")


def chance_of(text: str, seed: int) -> random.Random:
    """Return the chance that a text and a seed leave: always the same."""
    return random.Random(zlib.crc32(text.encode()) << 32 | seed & 0xFFFFFFFF)  # noqa: S311


def pick_words(text: str, chance: random.Random, most: int) -> list[str]:
    """Return up to `most` telling words of a text, in its order."""
    found = [word for word in dict.fromkeys(_WORD.findall(text[:300].lower())) if word not in _COMMON]
    skipped = chance.randrange(max(1, len(found) - most + 1))
    return found[skipped : skipped + most]


def sentence(text: str, chance: random.Random) -> str:
    """Return one sentence made of words of the text."""
    words = pick_words(text, chance, 5)
    return f"{chance.choice(_OPENINGS)} {', '.join(words) or 'nothing in particular'}."
