"""Triage of a support ticket by its words, so that a demo's answers make sense to a person who reads them."""

import re
from collections.abc import Mapping
from typing import Any

FIELDS = frozenset({"category", "urgency", "sentiment", "summary", "needs_human"})

_STEMS = {
    "billing": "bill invoice charge refund payment paid price subscription credit receipt vat tax",
    "bug": "bug crash error broken fail freez exception blank glitch wrong doesn't",
    "account": "account password login logged locked username two-factor 2fa profile permission",
    "shipping": "ship deliver parcel package courier track arriv customs",
    "feature_request": "feature wish suggestion dark-mode would-be please-add could-you-add",
    "urgent": "urgent asap immediately production outage deadline emergency right-now data-loss cannot-work",
    "angry": "angry furious terribl unacceptable worst ridiculous disappoint frustrat useless scam fed-up third-time",
    "glad": "thank great love awesome excellent happy appreciat wonderful perfect kudos",
    "human": "lawyer legal human manager complain gdpr fraud refund speak-to call-me cancel-my data-loss",
}
_CATEGORIES = ("billing", "bug", "account", "shipping", "feature_request")
_PHRASES = [
    (stem.replace("-", " "), group)
    for group, stems in _STEMS.items()
    for stem in stems.split()
    if "-" in stem
]
_WORDS: dict[str, list[tuple[str, str]]] = {}
for _group, _stems in _STEMS.items():
    for _stem in _stems.split():
        _WORDS.setdefault(_stem[:3], []).append((_stem, _group))
_SENTENCE = re.compile(r"[.!?]\s+|\n+")


def is_ticket_schema(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema asks for a ticket's triage."""
    return FIELDS.issubset(schema.get("properties", {}))


def triage(text: str) -> dict[str, Any]:
    """Return the five fields as what the ticket says makes them."""
    said = _said(text)
    category = max(_CATEGORIES, key=lambda name: said[name])
    category = category if said[category] else "other"
    anger, joy = said["angry"], said["glad"]
    urgency = 2 + min(said["urgent"], 2) + bool(anger) - (bool(joy) and not anger)
    urgency = max(1, min(5, urgency - (category == "feature_request")))
    return {
        "category": category,
        "urgency": urgency,
        "sentiment": "negative"
        if anger > joy
        else "positive"
        if joy > anger
        else "neutral",
        "summary": _summary(text, category),
        "needs_human": urgency >= 5 or said["human"] > 0,
    }


def _summary(text: str, category: str) -> str:
    """Return the sentence that says most about the category, no longer than a line."""
    sentences = [
        part.strip() for part in _SENTENCE.split(text[:2_000]) if len(part.strip()) > 12
    ]
    if len(sentences) < 2:
        telling = sentences[0] if sentences else text.strip()[:200]
    else:
        telling = max(sentences, key=lambda part: _said(part).get(category, 0))
    return telling if len(telling) <= 160 else telling[:157].rsplit(" ", 1)[0] + "…"


def _said(text: str) -> dict[str, int]:
    """Count the words and phrases of each group; a word counts by how it begins."""
    said = dict.fromkeys(_STEMS, 0)
    lower = text.lower()
    for word in lower.split():
        for stem, group in _WORDS.get(word[:3], ()):
            if word.startswith(stem):
                said[group] += 1
    for phrase, group in _PHRASES:
        if phrase in lower:
            said[group] += 1
    return said
