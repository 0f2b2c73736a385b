"""Upper bounds for the tokens of a request's images and documents: the API does not report them beforehand.

Sources, as of November 2026: platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nightbatch.template.media import Piece, Read

IMAGE_TOKENS = 4_784
"""Most tokens of one image: width × height / 750, after it was scaled down to the limit of the newest models. Older
models scale down to about 1,600."""
DOCUMENT_TOKENS = 10_000_000
"""More than any model's context window, which is then the bound. A page has about 1,500 to 3,000 tokens of text and
counts as an image too. A document has up to 600 pages; how many is not known without opening it."""


class Measure(NamedTuple):
    """Of one content: its bytes without its images and documents, and the most tokens that these may have."""

    text_size: int
    media_tokens: int


def measure(content: bytes, parts: Sequence[str | Piece], read: Read) -> Measure:
    """Measure an encoded content. `parts`: its parts; `read`: the data that was read from the addresses in them."""
    if not content:  # of a row that cannot be asked
        return Measure(0, 0)
    text_size = len(content)
    media_tokens = 0
    for part in parts:
        if isinstance(part, Piece):
            text_size -= _base64_size(part, read)
            if part.kind == "image":
                media_tokens += IMAGE_TOKENS
            else:
                media_tokens += DOCUMENT_TOKENS
    return Measure(text_size, media_tokens)


def _base64_size(piece: Piece, read: Read) -> int:
    """Count the bytes of a piece's data in the content; an address that the API reads counts as text."""
    data = piece.value
    if isinstance(data, str):
        data = read.get(data)
    if not isinstance(data, bytes):
        return 0
    byte_count = len(data)
    three_byte_groups = (byte_count + 2) // 3
    return 4 * three_byte_groups
