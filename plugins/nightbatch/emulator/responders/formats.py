"""Texts of the formats that a schema may ask for, such as a date or an address."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from nightbatch.emulator.responders.words import Chance, pick_words

_NO_LABEL = re.compile(r"[^a-z0-9-]", re.I | re.A)
_MOST_LABEL_CHARACTERS = 40
_START = datetime(2026, 1, 1, tzinfo=UTC)
_SECONDS = 300 * 86_400
"""How long after the start a moment may be."""


def formatted(text_format: str, text: str, chance: Chance) -> str | None:
    """Return a text of a format, None for an unknown one. Every format uses the same number of choices."""
    moment = _START + timedelta(seconds=chance.below(_SECONDS))
    number = 1 + chance.below(254)
    picked_words = pick_words(text, chance, 1)
    word = _label("-".join(picked_words))
    texts_by_format = {
        "date": f"{moment:%Y-%m-%d}",
        "date-time": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "time": f"{moment:%H:%M:%S}Z",
        "duration": f"PT{number}M",
        "email": f"{word}@example.com",
        "hostname": f"{word}.example.com",
        "uri": f"https://example.com/{word}",
        "ipv4": f"192.0.2.{number}",
        "ipv6": f"2001:db8::{number:x}",
        "uuid": _uuid(chance),
    }
    return texts_by_format.get(text_format)


def _uuid(chance: Chance) -> str:
    groups = [f"{chance.below(1 << 16):04x}" for _ in range(8)]
    hex_digits = "".join(groups)
    return str(UUID(hex_digits))


def _label(word: str) -> str:
    """Return a word as a label of a host's name, which an address may hold too: letters and digits of ASCII."""
    ascii_word = _NO_LABEL.sub("", word)
    return ascii_word[:_MOST_LABEL_CHARACTERS].strip("-") or "example"
