"""How many input tokens requests have, expected and at most, estimated from their sizes.

The bound must also hold for requests that were not counted. So a byte counts as at least half a token, whatever the
ratio of those that were counted, and an image or document as the most that the API takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

BYTES_A_TOKEN = 3.5
"""Expected bytes of text a token."""
LEAST_BYTES_A_TOKEN = 2.0
"""Lower bound of the bytes a token: no text in any script was seen to have fewer on average."""
MARGIN = 1.15
"""Factor by which counts may be too low: count_tokens itself says that it is an estimate."""
MEDIA_SHARE = 1 / 3
"""Share of their upper bound that images and documents use, if none was counted: 1,600 tokens for an image."""


class Sizes(NamedTuple):
    """Bytes of text of each request, and most tokens of its images and documents (None: no request has any)."""

    text: np.ndarray
    media: np.ndarray | None = None

    def part(self, start: int, stop: int) -> Sizes:
        """Keep the requests from `start` to before `stop`."""
        text_part = self.text[start:stop]
        media_part = None if self.media is None else self.media[start:stop]
        return Sizes(text_part, media_part)


class Sample(NamedTuple):
    """One counted request: its bytes of text, most tokens of its images and documents, and its tokens."""

    text: int
    media: int
    tokens: int


@dataclass(frozen=True)
class Prompts:
    """How many input tokens a request has: for its frame, for each byte of text, for images and documents.

    frame_most, per_byte_most: the upper bounds. media_share: the share of their bound that images and documents use.
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
    """Estimate the length of prompts from counted ones, and from the tokens of the bare frame.

    `complete`: all requests were counted, so that none can have more tokens a byte than the highest of these.
    """
    text_bytes = sum(sample.text for sample in samples)
    content_tokens = sum(sample.tokens - frame for sample in samples)
    media_bound = sum(min(sample.media, context) for sample in samples)
    per_byte = 1 / BYTES_A_TOKEN
    media_share = MEDIA_SHARE
    if media_bound:
        media_tokens = content_tokens - text_bytes * per_byte
        media_share = _share(media_tokens, media_bound)
    elif text_bytes:
        per_byte = max(0.0, content_tokens / text_bytes)
    if complete and not media_bound:
        per_byte_most = MARGIN * _highest_per_byte(frame, samples, default=per_byte)
    else:
        per_byte_most = _most(per_byte)
    return Prompts(
        frame=frame,
        per_byte=per_byte,
        frame_most=MARGIN * frame,
        per_byte_most=per_byte_most,
        how=f"count_tokens sample of {len(samples)}",
        media_share=media_share,
    )


def _highest_per_byte(
    frame: int, samples: Sequence[Sample], *, default: float
) -> float:
    """Return the most tokens a byte of any sample, its frame not counted."""
    ratios = [
        (sample.tokens - frame) / sample.text for sample in samples if sample.text
    ]
    return max(ratios, default=default)


def by_length(frame_bytes: int) -> Prompts:
    """Estimate the length of prompts from their bytes alone."""
    per_byte = 1 / BYTES_A_TOKEN
    per_byte_most = 1 / LEAST_BYTES_A_TOKEN
    return Prompts(
        frame=frame_bytes * per_byte,
        per_byte=per_byte,
        frame_most=frame_bytes * per_byte_most,
        per_byte_most=per_byte_most,
        how=f"length, {BYTES_A_TOKEN} bytes a token",
    )


def by_history(per_byte: float, frame_bytes: int, how: str) -> Prompts:
    """Estimate the length of text prompts from the tokens a byte that were billed for earlier ones."""
    per_byte_most = _most(per_byte)
    return Prompts(
        frame=frame_bytes * per_byte,
        per_byte=per_byte,
        frame_most=frame_bytes * per_byte_most,
        per_byte_most=per_byte_most,
        how=how,
    )


def by_history_of_media(
    mean: float, frame_bytes: int, sizes: Sizes, context: int, how: str
) -> Prompts:
    """Estimate the length of prompts with images and documents from the mean tokens of earlier ones."""
    text_only = by_length(frame_bytes)
    if sizes.media is None or not len(sizes.text):
        return text_only
    media_bounds = np.minimum(sizes.media, context)
    mean_media_bound = float(media_bounds.mean())
    mean_text_bytes = float(sizes.text.mean())
    mean_text_tokens = text_only.frame + text_only.per_byte * mean_text_bytes
    mean_media_tokens = mean - mean_text_tokens
    media_share = _share(mean_media_tokens, mean_media_bound)
    return replace(text_only, how=how, media_share=media_share)


def _most(per_byte: float) -> float:
    """Return the upper bound of tokens a byte for prompts that were not counted."""
    return max(1 / LEAST_BYTES_A_TOKEN, MARGIN * per_byte)


def _share(tokens: float, bound: float) -> float:
    if not bound:
        return MEDIA_SHARE
    share = tokens / bound
    return min(1.0, max(0.0, share))
