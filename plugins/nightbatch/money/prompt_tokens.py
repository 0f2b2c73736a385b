"""How many input tokens requests have, as expected and at most, found from their sizes.

The bound must hold for requests that nobody has counted. So a byte counts as at least half a token, whatever the ratio
of those that were counted, and an image or document as the most that the API takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

BYTES_A_TOKEN, LEAST_BYTES_A_TOKEN = 3.5, 2.0
"""A text's bytes to a token as expected, and as few as no text in any script has been seen to have on average."""
MARGIN = 1.15
"""By how much counted tokens may fall short: count_tokens itself says that it is an estimate."""
MEDIA_SHARE = 1 / 3
"""Which share of their bound images and documents have, where none has been counted: 1,600 tokens for an image."""


class Sizes(NamedTuple):
    """Bytes of text of each request, and most tokens of its images and documents (None: no request has any)."""

    text: np.ndarray
    media: np.ndarray | None = None

    def part(self, start: int, stop: int) -> Sizes:
        """Keep the requests from one place to another."""
        return Sizes(
            self.text[start:stop],
            None if self.media is None else self.media[start:stop],
        )


class Sample(NamedTuple):
    """One counted request: its bytes of text, most tokens of its images and documents, and its tokens."""

    text: int
    media: int
    tokens: int


@dataclass(frozen=True)
class Prompts:
    """How many input tokens a request has: some for its frame, some a byte of text, some for images and documents.

    frame_most, per_byte_most: the same at most. media_share: which share of their bound images and documents have.
    """

    frame: float
    per_byte: float
    frame_most: float
    per_byte_most: float
    how: str
    media_share: float = MEDIA_SHARE

    def expected(self, sizes: Sizes, context: int) -> np.ndarray:
        """Compute the expected tokens of each request, none above the model's context window."""
        tokens = self.frame + self.per_byte * sizes.text.astype(np.float64)
        if sizes.media is not None:
            tokens += self.media_share * np.minimum(sizes.media, context)
        return np.minimum(tokens, context)

    def most(self, sizes: Sizes, context: int) -> np.ndarray:
        """Compute the most tokens of each request; the API refuses, unbilled, what exceeds the context window."""
        tokens = self.frame_most + self.per_byte_most * sizes.text.astype(np.float64)
        if sizes.media is not None:
            tokens += sizes.media
        return np.minimum(tokens, context)


def counted(
    frame: int, samples: Sequence[Sample], context: int, *, complete: bool
) -> Prompts:
    """Find the length of prompts from counted ones, and the tokens of the bare frame.

    `complete`: all requests were counted, so that none can have more bytes a token than the longest of these.
    """
    text = sum(sample.text for sample in samples)
    tokens = sum(sample.tokens - frame for sample in samples)
    media = sum(min(sample.media, context) for sample in samples)
    per_byte = 1 / BYTES_A_TOKEN
    share = MEDIA_SHARE
    if media:
        share = _share(tokens - text * per_byte, media)
    elif text:
        per_byte = max(0.0, tokens / text)
    if complete and not media:
        ratios = [
            (sample.tokens - frame) / sample.text for sample in samples if sample.text
        ]
        per_byte_most = MARGIN * max(ratios, default=per_byte)
    else:
        per_byte_most = _most(per_byte)
    how = f"count_tokens sample of {len(samples)}"
    return Prompts(frame, per_byte, MARGIN * frame, per_byte_most, how, share)


def by_length(frame_bytes: int) -> Prompts:
    """Find the length of prompts from their bytes alone."""
    per_byte = 1 / BYTES_A_TOKEN
    per_byte_most = 1 / LEAST_BYTES_A_TOKEN
    how = f"length, {BYTES_A_TOKEN} bytes a token"
    return Prompts(
        frame_bytes * per_byte,
        per_byte,
        frame_bytes * per_byte_most,
        per_byte_most,
        how,
    )


def by_history(per_byte: float, frame_bytes: int, how: str) -> Prompts:
    """Find the length of prompts of text from what was billed for a byte of those before."""
    per_byte_most = _most(per_byte)
    return Prompts(
        frame_bytes * per_byte,
        per_byte,
        frame_bytes * per_byte_most,
        per_byte_most,
        how,
    )


def by_history_of_media(
    mean: float, frame_bytes: int, sizes: Sizes, context: int, how: str
) -> Prompts:
    """Find the length of prompts with images and documents from the mean tokens of those before."""
    by_text = by_length(frame_bytes)
    if sizes.media is None or not len(sizes.text):
        return by_text
    mean_media = float(np.minimum(sizes.media, context).mean())
    mean_text = by_text.frame + by_text.per_byte * float(sizes.text.mean())
    share = _share(mean - mean_text, mean_media)
    return Prompts(
        by_text.frame,
        by_text.per_byte,
        by_text.frame_most,
        by_text.per_byte_most,
        how,
        share,
    )


def _most(per_byte: float) -> float:
    """Say how many tokens a byte has at most that nobody has counted."""
    return max(1 / LEAST_BYTES_A_TOKEN, MARGIN * per_byte)


def _share(tokens: float, most: float) -> float:
    return min(1.0, max(0.0, tokens / most)) if most else MEDIA_SHARE
