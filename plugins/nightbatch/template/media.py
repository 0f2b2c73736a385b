"""Images and documents in a prompt: `{{ image(photo) }}` and `{{ document(scan) }}` become content blocks of their own.

The value is a binary column, the `s3://` address of an object that `prepare` reads, or an `https://` address that the
API fetches; `spec/media_roots.py` says which addresses. A null leaves nothing. In a template the two calls print a
mark, which no row can know beforehand, and which is where the prompt is cut into blocks.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nightbatch.spec.locations import SCHEME
from nightbatch.spec.media_roots import HTTPS

KINDS = {"image": "nightbatch_image", "document": "nightbatch_document"}
_OPENING = re.compile(r"\{\{|\{%")
_CLOSING = {"{{": "}}", "{%": "%}"}
_CALL = re.compile(r"\b(image|document)(?=\s*\()")
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
"""What is at each address: its bytes, or words that say what is wrong with it; None: the API is to fetch it."""
Fetch = Callable[[Sequence[Sequence[str]]], Iterator[Read]]
"""Reads what the addresses of some rows name, row after row."""


def no_fetch(rows: Sequence[Sequence[str]]) -> Iterator[Read]:
    """Read nothing."""
    for row in rows:
        yield {
            address: None if address.startswith(HTTPS) else "names no object"
            for address in row
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
    """Collects the images and documents of one rendering, and cuts the rendered text where they stand."""

    mark: str = field(default_factory=lambda: secrets.token_hex(12))
    found: list[Piece] = field(default_factory=list)

    def take(self, kind: str, value: Any) -> str:
        """Take a value and return the mark that holds its place; what is beyond MOST_PIECES leaves no mark."""
        if value is None or len(self.found) > MOST_PIECES:
            return ""
        usable = value if isinstance(value, bytes | str) else None
        self.found.append(Piece(kind, usable))
        return f"\x00{self.mark}{len(self.found) - 1}\x00"

    def cut(self, text: str) -> list[str | Piece]:
        """Return texts and pieces in their order, and begin anew; what comes after too many pieces is left out."""
        parts = re.split(f"\x00{self.mark}(\\d+)\x00", text, maxsplit=MOST_PIECES + 1)[
            : 2 * MOST_PIECES + 2
        ]
        pieces = self.found
        self.found = []
        return [
            pieces[int(part)] if place % 2 else part
            for place, part in enumerate(parts)
            if place % 2 or part
        ]


def compiled(template: str) -> str:
    """Return a template in which the two calls have names that no column has."""
    if not _CALL.search(template):
        return template
    parts = list[str]()
    unclosed = set[str]()
    done = at = 0
    while opening := _OPENING.search(template, at):
        end = (
            -1
            if opening[0] in unclosed
            else template.find(_CLOSING[opening[0]], opening.end())
        )
        if end < 0:
            unclosed.add(opening[0])
            at = opening.start() + 1
            continue
        at = end + len(_CLOSING[opening[0]])
        markup = template[opening.start() : at]
        parts += [
            template[done : opening.start()],
            _CALL.sub(lambda call: KINDS[call[1]], markup),
        ]
        done = at
    return "".join([*parts, template[done:]])


def addresses(parts: Sequence[str | Piece]) -> list[str]:
    """Name the addresses that must be looked at before the parts can be encoded; none where there are too many."""
    pieces = [part for part in parts if isinstance(part, Piece)]
    if len(pieces) > MOST_PIECES:
        return []
    values = (piece.value for piece in pieces)
    return [
        value
        for value in values
        if isinstance(value, str) and value.startswith((SCHEME, HTTPS))
    ]


def encode(parts: Sequence[str | Piece], read: Read, most_bytes: int) -> bytes | None:
    """Encode a row's content: a list of blocks, or a plain text where it holds neither image nor document.

    None: it would take more than `most_bytes`. Raises UnfitError, which repeats neither content nor address.
    """
    pieces = [part for part in parts if isinstance(part, Piece)]
    if len(pieces) > MOST_PIECES:
        raise UnfitError(TOO_MANY)
    if not pieces:
        return msgspec.json.encode(
            "".join(part for part in parts if isinstance(part, str))
        )
    contents = {id(piece): _content(piece, read) for piece in pieces}
    if sum(len(contents[id(piece)]) * 4 // 3 for piece in pieces) > most_bytes:
        return None
    texts_and_pieces = (
        part for part in parts if isinstance(part, Piece) or part.strip()
    )
    blocks = [_block(part, contents.get(id(part), b"")) for part in texts_and_pieces]
    return msgspec.json.encode(blocks, order="sorted")


def _content(piece: Piece, read: Read) -> bytes | str:
    """Return the bytes of an image or document, or the address at which the API fetches it."""
    value = piece.value
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value.startswith((SCHEME, HTTPS)):
        raise UnfitError(
            f"the {piece.kind} is neither binary nor an s3:// or https:// address"
        )
    content = read[value]
    if isinstance(content, str):
        raise UnfitError(f"the {piece.kind}'s address {content}")
    return value if content is None else content


def _block(part: str | Piece, content: bytes | str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(content, str):
        return {"type": part.kind, "source": {"type": "url", "url": content}}
    source = {
        "type": "base64",
        "media_type": _media_type(part.kind, content),
        "data": content,
    }
    return {"type": part.kind, "source": source}


def _media_type(kind: str, content: bytes) -> str:
    found = next((media for magic, media in _MAGIC if content.startswith(magic)), "")
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        found = "image/webp"
    if kind == "image" and found.startswith("image/"):
        return found
    if kind == "document" and found == "application/pdf":
        return found
    raise UnfitError(
        f"the {kind} is not {'PNG, JPEG, GIF or WebP' if kind == 'image' else 'a PDF'}"
    )
