"""Images and documents in a prompt: `{{ image(photo) }}` and `{{ document(scan) }}` become content blocks of their own.

The value is a binary column, the `s3://` address of an object that `prepare` reads, or an `https://` address that the
API fetches; `spec/media_roots.py` says which addresses. A null leaves nothing. In a template the two calls print a
random mark, which no row can know in advance, and which is where the prompt is cut into blocks.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

S3 = "s3://"
HTTPS = "https://"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


MOST_PIECES = 1_000
"""Images and documents of one row: more than any model takes."""
TOO_MANY = f"the row has more than {MOST_PIECES:,} images and documents"

Read = Mapping[str, "bytes | str | None"]
"""What is at each address: its bytes, or a text that says what is wrong with it; None: the API is to fetch it."""
Fetch = Callable[[Sequence[Sequence[str]]], Iterator[Read]]
"""Reads what the addresses of some rows name, row after row."""


def no_fetch(rows: Sequence[Sequence[str]]) -> Iterator[Read]:
    """Read nothing."""
    for row_addresses in rows:
        yield {
            address: None if address.startswith(HTTPS) else "names no object"
            for address in row_addresses
        }


class UnfitError(ValueError):
    """Why a row's image or document cannot be sent."""


@dataclass(frozen=True)
class Piece:
    """One image or document of a row."""

    kind: str
    value: bytes | str | None
    """None: neither binary nor text."""


@dataclass
class Cutter:
    """Collects the images and documents of one rendering, and splits the rendered text at their places."""

    mark: str = field(default_factory=lambda: secrets.token_hex(12))
    found: list[Piece] = field(default_factory=list)

    def take(self, kind: str, value: Any) -> str:
        """Take a value and return the mark that holds its place; what is beyond MOST_PIECES leaves no mark."""
        piece_number = len(self.found)
        if value is None or piece_number > MOST_PIECES:
            return ""
        usable_value = value if isinstance(value, bytes | str) else None
        self.found.append(Piece(kind, usable_value))
        return f"\x00{self.mark}{piece_number}\x00"

    def cut(self, text: str) -> list[str | Piece]:
        """Return texts and pieces in their order, and start over; what comes after too many pieces is left out."""
        mark_pattern = f"\x00{self.mark}(\\d+)\x00"
        split_text = re.split(mark_pattern, text, maxsplit=MOST_PIECES + 1)
        pieces = self.found
        self.found = []
        parts = list[str | Piece]()
        for place, part in enumerate(split_text[: 2 * MOST_PIECES + 2]):
            is_piece_number = place % 2 == 1
            if is_piece_number:
                parts.append(pieces[int(part)])
            elif part:
                parts.append(part)
        return parts


def addresses(parts: Sequence[str | Piece]) -> list[str]:
    """Name the addresses that must be read before the parts can be encoded; none where there are too many."""
    pieces = [part for part in parts if isinstance(part, Piece)]
    if len(pieces) > MOST_PIECES:
        return []
    texts = [piece.value for piece in pieces if isinstance(piece.value, str)]
    return [text for text in texts if text.startswith((S3, HTTPS))]


def encode(parts: Sequence[str | Piece], read: Read, most_bytes: int) -> bytes | None:
    """Encode a row's content: a list of blocks, or a plain text where it holds neither image nor document.

    None: it would take more than `most_bytes`. Raises UnfitError, which repeats neither content nor address.
    """
    pieces = [part for part in parts if isinstance(part, Piece)]
    if len(pieces) > MOST_PIECES:
        raise UnfitError(TOO_MANY)
    if not pieces:
        text = "".join(part for part in parts if isinstance(part, str))
        return msgspec.json.encode(text)
    contents = {id(piece): _content(piece, read) for piece in pieces}
    if sum(_encoded_bytes(contents[id(piece)]) for piece in pieces) > most_bytes:
        return None
    blocks = list[dict[str, Any]]()
    for part in parts:
        if isinstance(part, Piece):
            blocks.append(_media_block(part.kind, contents[id(part)]))
        elif part.strip():
            blocks.append({"type": "text", "text": part})
    return msgspec.json.encode(blocks, order="sorted")


def _encoded_bytes(content: bytes | str) -> int:
    """Return about how many bytes a content takes in base64."""
    return len(content) * 4 // 3


def _content(piece: Piece, read: Read) -> bytes | str:
    """Return the bytes of an image or document, or the address at which the API fetches it."""
    value = piece.value
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value.startswith((S3, HTTPS)):
        raise UnfitError(
            f"the {piece.kind} is neither binary nor an s3:// or https:// address"
        )
    content = read[value]
    if isinstance(content, str):
        raise UnfitError(f"the {piece.kind}'s address {content}")
    return value if content is None else content


def _media_block(kind: str, content: bytes | str) -> dict[str, Any]:
    if isinstance(content, str):
        return {"type": kind, "source": {"type": "url", "url": content}}
    source = {
        "type": "base64",
        "media_type": _media_type(kind, content),
        "data": content,
    }
    return {"type": kind, "source": source}


def _media_type(kind: str, content: bytes) -> str:
    """Return the media type of a content, if it is one that the API takes as this kind."""
    media_type = _detected_type(content)
    if kind == "image":
        is_allowed = media_type.startswith("image/")
        allowed_types = "PNG, JPEG, GIF or WebP"
    else:
        is_allowed = media_type == "application/pdf"
        allowed_types = "a PDF"
    if is_allowed:
        return media_type
    raise UnfitError(f"the {kind} is not {allowed_types}")


def _detected_type(content: bytes) -> str:
    """Return the media type by the first bytes of a content; empty for one that is not known."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    for first_bytes, media_type in _MAGIC:
        if content.startswith(first_bytes):
            return media_type
    return ""
