"""Short texts made of a prompt's own words, so that a person sees at a glance which answer belongs to which prompt."""

import random
import re

_WORD = re.compile(r"[^\W\d_]{4,}")
_PLAIN = """
    about after also been from have here into more only other over please some that their them then there they this very
    were what when where which while will with would your
"""
_COMMON = frozenset(_PLAIN.split())
_OPENINGS = ("This is about", "The text speaks of", "In short:", "It comes down to", "The matter is")


def pick_words(text: str, chance: random.Random, most: int) -> list[str]:
    """Return up to `most` telling words of a text, in its order."""
    found = list(dict.fromkeys(word for word in _WORD.findall(text[:2_000].lower()) if word not in _COMMON))
    kept = sorted(chance.sample(range(len(found)), min(most, len(found))))
    return [found[place] for place in kept]


def sentence(text: str, chance: random.Random) -> str:
    """Return one sentence made of words of the text."""
    words = pick_words(text, chance, 5)
    return f"{chance.choice(_OPENINGS)} {', '.join(words) or 'nothing in particular'}."
