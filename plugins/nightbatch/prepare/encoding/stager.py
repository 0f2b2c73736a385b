"""Turns rows into requests: their prompts are encoded, and get ids and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.json_strings import json_quoted
from nightbatch.messages.request import BODY_HEAD, BODY_TAIL, Frame
from nightbatch.money.media_tokens import measure
from nightbatch.prepare.encoding.encoded import Encoded, EncodedRow, groups
from nightbatch.prepare.encoding.numbering import RequestNumbers, Staged, numbered
from nightbatch.prepare.encoding.prompts import RowPrompts
from nightbatch.prepare.encoding.schemas import MEDIA_REQUESTS, REQUESTS
from nightbatch.template import media
from nightbatch.template.template import Template

EMPTY = "the prompt is empty after rendering"
TOO_LARGE = "the request is larger than max_batch_bytes"


@dataclass(frozen=True)
class Stager:
    """Turns rows into requests: `encode` rarely holds Python's lock; `stage` then adds the ids and numbers."""

    template: Template
    frame: Frame
    max_bytes: int
    fetch: media.Fetch = media.no_fetch

    @property
    def schema(self) -> pa.Schema:
        """The schema of the requests that are staged."""
        return MEDIA_REQUESTS if self.template.has_media else REQUESTS

    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Render and encode the request of each row, for rows without images and documents."""
        row_prompts = RowPrompts(self.template, rows)
        prompts = row_prompts.texts()
        contents = json_quoted(prompts)
        content_sizes = pc.binary_length(contents)
        is_too_large = pc.greater(content_sizes, self._content_limit)
        too_large_rows = _true_places(is_too_large)
        empty_rows = _true_places(_is_empty(prompts))
        problems = dict.fromkeys(too_large_rows, TOO_LARGE)
        problems |= dict.fromkeys(empty_rows, EMPTY)
        problems |= row_prompts.unreadable
        return Encoded(rows, contents, problems)

    def encode_media(self, rows: pa.RecordBatch) -> Iterator[Encoded]:
        """Encode rows with images and documents, in groups of about MEDIA_BYTES."""
        row_prompts = RowPrompts(self.template, rows)
        encoded_rows = self._encode_rows(row_prompts)
        return groups(rows, encoded_rows)

    def stage(self, encoded: Encoded, numbers_by_id: RequestNumbers) -> Staged:
        """Give the request of each row its id and its number; new requests are added to `numbers_by_id`."""
        ids = self.frame.request_ids(encoded.contents)
        return numbered(encoded, ids, numbers_by_id)

    def _encode_rows(self, row_prompts: RowPrompts) -> Iterator[EncodedRow]:
        """Encode rows with images and documents, one by one."""
        unreadable = row_prompts.unreadable
        prompts = row_prompts.cuts()
        row_addresses = [media.addresses(parts) for parts in prompts]
        fetched = self.fetch(row_addresses)
        for place, parts in enumerate(prompts):
            encoded_row = self._encode_row(parts, next(fetched))
            if place in unreadable:
                encoded_row = EncodedRow(problem=unreadable[place])
            yield encoded_row

    def _encode_row(
        self, parts: Sequence[str | media.Piece], read: media.Read
    ) -> EncodedRow:
        """Encode one row, or return the problem."""
        if all(_is_blank(part) for part in parts):
            return EncodedRow(problem=EMPTY)
        content_limit = self._content_limit
        try:
            content = media.encode(parts, read, content_limit)
        except media.UnfitError as error:
            return EncodedRow(problem=str(error))
        if content is None or len(content) > content_limit:
            return EncodedRow(problem=TOO_LARGE)
        content_measure = measure(content, parts, read)
        return EncodedRow(content, content_measure)

    @property
    def _content_limit(self) -> int:
        """Most bytes that the content of one request may have."""
        body_overhead = len(BODY_HEAD) + len(BODY_TAIL)
        return self.max_bytes - body_overhead - self.frame.item_overhead


def _is_empty(prompts: pa.Array) -> pa.Array:
    prompt_sizes = pc.binary_length(prompts)
    has_no_bytes = pc.equal(prompt_sizes, 0)
    return pc.or_(has_no_bytes, pc.utf8_is_space(prompts))


def _is_blank(part: str | media.Piece) -> bool:
    return not isinstance(part, media.Piece) and not part.strip()


def _true_places(flags: pa.Array) -> list[int]:
    """Return the places at which a flag is set."""
    places: list[int] = np.flatnonzero(flags).tolist()
    return places
