"""What the images and documents of a request may cost at most: the API tells nobody their size in tokens beforehand.

Sources, as of November 2026: platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nightbatch.template.media import Piece, Read

IMAGE_TOKENS = 4_784
"""Most tokens of one image: width × height / 750, once it has been scaled down to what the newest models take. Older
models scale down to about 1,600."""
DOCUMENT_TOKENS = 10_000_000
"""More than any model's context window, which is then the bound. A page has about 1,500 to 3,000 tokens of text and is
an image besides, and a document has up to 600 pages; nobody can say how many without opening it."""


class Measure(NamedTuple):
    """Of one content: its bytes without those of images and documents, and most tokens of these."""

    text_size: int
    media_tokens: int


def measure(content: bytes, parts: Sequence[str | Piece], read: Read) -> Measure:
    """Measure an encoded content; `parts` are what it was made of, `read` what stands at the addresses in them."""
    if not content:  # of a row that cannot be asked
        return Measure(0, 0)
    text_size = len(content)
    tokens = 0
    for part in parts:
        if isinstance(part, Piece):
            text_size -= _base64_size(part, read)
            tokens += IMAGE_TOKENS if part.kind == "image" else DOCUMENT_TOKENS
    return Measure(text_size, tokens)


def _base64_size(piece: Piece, read: Read) -> int:
    """Count the bytes of a piece's data in the content; an address that the API reads counts as text."""
    data = read.get(piece.value) if isinstance(piece.value, str) else piece.value
    return 4 * ((len(data) + 2) // 3) if isinstance(data, bytes) else 0
