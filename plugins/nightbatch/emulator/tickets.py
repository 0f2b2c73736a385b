"""Triage of a support ticket by its words, so that a demo's answers make sense to a person who reads them."""

import re
from collections.abc import Mapping
from typing import Any

_FIELDS = {"category", "urgency", "sentiment", "summary", "needs_human"}

_CATEGORIES = {
    "billing": "bill|invoice|charge|refund|payment|paid|price|subscription|credit card|receipt|vat|tax",
    "bug": "bug|crash|error|broken|fail|freez|not work|n't work|exception|blank|glitch|wrong result",
    "account": "account|password|log ?in|sign ?in|locked|email address|username|two-factor|2fa|profile|permission",
    "shipping": "ship|deliver|parcel|package|courier|track|arriv|customs|return label",
    "feature_request": "feature|would be nice|would be great|please add|wish|suggestion|could you add|dark mode",
}
_URGENT = "urgent|asap|immediately|right now|production|outage|deadline|today|emergency|all users|data loss|cannot work"
_ANGRY = "angry|furious|terrible|unacceptable|worst|ridiculous|disappoint|frustrat|useless|fed up|third time|scam"
_GLAD = "thank|great|love|awesome|excellent|happy|appreciate|wonderful|perfect|kudos"
_HUMAN = "lawyer|legal|human|manager|speak to|call me|complain|cancel my|gdpr|fraud|data loss|refund"

_PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _CATEGORIES.items()}
_IS_URGENT, _IS_ANGRY, _IS_GLAD, _IS_HUMAN = (
    re.compile(pattern, re.IGNORECASE) for pattern in (_URGENT, _ANGRY, _GLAD, _HUMAN)
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def is_ticket_schema(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema asks for a ticket's triage."""
    return _FIELDS.issubset(schema.get("properties", {}))


def triage(text: str, made: dict[str, Any]) -> dict[str, Any]:
    """Return `made` with the five fields set by what the ticket says."""
    anger, joy = len(_IS_ANGRY.findall(text)), len(_IS_GLAD.findall(text))
    urgency = 2 + min(len(_IS_URGENT.findall(text)), 2) + (1 if anger else 0) - (1 if joy and not anger else 0)
    category = _category(text)
    urgency = max(1, min(5, urgency - (1 if category == "feature_request" else 0)))
    return made | {
        "category": category,
        "urgency": urgency,
        "sentiment": "negative" if anger > joy else "positive" if joy > anger else "neutral",
        "summary": _summary(text),
        "needs_human": bool(_IS_HUMAN.search(text)) or urgency >= 5,
    }


def _category(text: str) -> str:
    """Return the category with most words in the text; the earlier one of two; `other` if there is none."""
    found = {name: len(pattern.findall(text)) for name, pattern in _PATTERNS.items()}
    best = max(found, key=lambda name: found[name])
    return best if found[best] else "other"


def _summary(text: str) -> str:
    sentences = [part.strip() for part in _SENTENCE.split(text) if len(part.strip()) > 12]
    telling = max(
        sentences, key=lambda part: sum(len(p.findall(part)) for p in _PATTERNS.values()), default=text.strip()
    )
    return telling if len(telling) <= 160 else telling[:157].rsplit(" ", 1)[0] + "…"
