"""Triage of a support ticket by its words, so that a demo's answers make sense to the reader."""

import re
from collections.abc import Mapping
from typing import Any

from nightbatch.emulator.wire import Json

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
    "danger": "burnt burning smoke sparks dangerous is-hot on-fire",
    "human": "lawyer legal human manager complain gdpr fraud refund speak-to call-me cancel-my data-loss",
}
_CATEGORIES = ("billing", "bug", "account", "shipping", "feature_request")
_PHRASES: list[tuple[str, str]] = []
_STEMS_BY_PREFIX: dict[str, list[tuple[str, str]]] = {}
for _group, _stems in _STEMS.items():
    for _stem in _stems.split():
        _STEMS_BY_PREFIX.setdefault(_stem[:3], []).append((_stem, _group))
        if "-" in _stem:
            _PHRASES.append((_stem.replace("-", " "), _group))
_SENTENCE = re.compile(r"[.!?]\s+|\n+")


def is_ticket_schema(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema asks for a ticket's triage."""
    return FIELDS.issubset(schema.get("properties", {}))


def triage(text: str) -> Json:
    """Return the five fields that follow from the ticket's words."""
    word_counts = _count_words(text)
    category = _category(word_counts)
    urgency = _urgency(word_counts, category)
    return {
        "category": category,
        "urgency": urgency,
        "sentiment": _sentiment(word_counts),
        "summary": _summary(text, category),
        "needs_human": urgency >= 5 or word_counts["human"] > 0,
    }


def _category(word_counts: Mapping[str, int]) -> str:
    top_category = max(_CATEGORIES, key=lambda category: word_counts[category])
    return top_category if word_counts[top_category] else "other"


def _urgency(word_counts: Mapping[str, int], category: str) -> int:
    """Return 1 to 5: 5 for danger; anger adds to it; praise without anger and a feature request take from it."""
    if word_counts["danger"]:
        return 5
    urgency = 2 + min(word_counts["urgent"], 2)
    if word_counts["angry"]:
        urgency += 1
    elif word_counts["glad"]:
        urgency -= 1
    if category == "feature_request":
        urgency -= 1
    return max(1, min(5, urgency))


def _sentiment(word_counts: Mapping[str, int]) -> str:
    angry_words = word_counts["angry"]
    glad_words = word_counts["glad"]
    if angry_words > glad_words:
        return "negative"
    if glad_words > angry_words:
        return "positive"
    return "neutral"


def _summary(text: str, category: str) -> str:
    """Return the sentence with most words of the category, at most 160 characters."""
    sentences = _sentences(text[:2_000])
    if len(sentences) > 1:
        summary = max(
            sentences, key=lambda sentence: _count_words(sentence).get(category, 0)
        )
    elif sentences:
        summary = sentences[0]
    else:
        summary = text.strip()[:200]
    if len(summary) <= 160:
        return summary
    whole_words = summary[:157].rsplit(" ", 1)[0]
    return whole_words + "…"


def _sentences(text: str) -> list[str]:
    """Return the sentences of more than 12 characters."""
    sentences = map(str.strip, _SENTENCE.split(text))
    return [sentence for sentence in sentences if len(sentence) > 12]


def _count_words(text: str) -> dict[str, int]:
    """Count the words and phrases of each group; a word counts by how it begins."""
    group_counts = dict.fromkeys(_STEMS, 0)
    lower_text = text.lower()
    for word in lower_text.split():
        for stem, group in _STEMS_BY_PREFIX.get(word[:3], ()):
            if word.startswith(stem):
                group_counts[group] += 1
    for phrase, group in _PHRASES:
        if phrase in lower_text:
            group_counts[group] += 1
    return group_counts
