"""Images and documents in a prompt: `{{ image(photo) }}` and `{{ document(scan) }}` become content blocks of their own.

The value is a binary column, the `s3://` address of an object that `prepare` reads, or an `https://` address that the
API fetches. A null leaves nothing. In a template the two calls print a mark, which no row can know beforehand, and
which is where the prompt is cut into blocks.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

KINDS = {"image": "nightbatch_image", "document": "nightbatch_document"}
_MARKUP = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_CALL = re.compile(r"\b(image|document)(?=\s*\()")
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


class UnfitError(ValueError):
    """Why a row's image or document cannot be sent."""


@dataclass(frozen=True)
class Piece:
    """One image or document of a row."""

    kind: str
    value: bytes | str


@dataclass
class Cutter:
    """Collects the images and documents of one rendering, and cuts the rendered text where they stand."""

    mark: str = field(default_factory=lambda: secrets.token_hex(12))
    found: list[Piece] = field(default_factory=list)

    def take(self, kind: str, value: Any) -> str:
        """Take a value and return the mark that holds its place."""
        if value is None:
            return ""
        self.found.append(Piece(kind, value))
        return f"\x00{self.mark}{len(self.found) - 1}\x00"

    def cut(self, text: str) -> list[str | Piece]:
        """Return texts and pieces in their order, and begin anew."""
        parts = re.split(f"\x00{self.mark}(\\d+)\x00", text)
        pieces, self.found = self.found, []
        return [pieces[int(part)] if place % 2 else part for place, part in enumerate(parts) if place % 2 or part]


def compiled(template: str) -> str:
    """Return a template in which the two calls have names that no column has."""
    return _MARKUP.sub(lambda markup: _CALL.sub(lambda call: KINDS[call[1]], markup[0]), template)


def addresses(parts: Sequence[str | Piece]) -> list[str]:
    """Name the objects that must be read before the parts can be encoded."""
    values = (part.value for part in parts if isinstance(part, Piece))
    return [value for value in values if isinstance(value, str) and value.startswith("s3://")]


def encode(parts: Sequence[str | Piece], read: Mapping[str, bytes | None]) -> bytes:
    """Encode a row's content: a list of blocks, or a plain text where it holds neither image nor document.

    `read`: what stands at the addresses; None: nothing. Raises UnfitError, which tells nothing of the content.
    """
    if not any(isinstance(part, Piece) for part in parts):
        return msgspec.json.encode("".join(part for part in parts if isinstance(part, str)))
    blocks = [_block(part, read) for part in parts if isinstance(part, Piece) or part.strip()]
    return msgspec.json.encode(blocks, order="sorted")


def _block(part: str | Piece, read: Mapping[str, bytes | None]) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    value = part.value
    if isinstance(value, str) and value.startswith("https://"):
        return {"type": part.kind, "source": {"type": "url", "url": value}}
    content = read.get(value) if isinstance(value, str) and value.startswith("s3://") else value
    if content is None:
        raise UnfitError(f"the {part.kind}'s address names no object")
    if not isinstance(content, bytes):
        raise UnfitError(f"the {part.kind} is neither binary nor an s3:// or https:// address")
    source = {"type": "base64", "media_type": _media_type(part.kind, content), "data": content}
    return {"type": part.kind, "source": source}


def _media_type(kind: str, content: bytes) -> str:
    found = next((media for magic, media in _MAGIC if content.startswith(magic)), "")
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        found = "image/webp"
    if kind == "image" and found.startswith("image/"):
        return found
    if kind == "document" and found == "application/pdf":
        return found
    raise UnfitError(f"the {kind} is not {'PNG, JPEG, GIF or WebP' if kind == 'image' else 'a PDF'}")
