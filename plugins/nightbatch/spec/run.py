"""A run is a snapshot: everything the later steps need to know, written once by `prepare` and read by all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import msgspec

from nightbatch.ids import Snapshot
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.request import Frame
from nightbatch.ports import Entry
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.run_ref import RunRef

FORM = 3
"""Increased whenever the same settings would make other rows or requests."""


@dataclass(frozen=True)
class Run:
    """What `run.json` holds."""

    snapshot: Snapshot
    source: str
    target: str
    partition: str
    kept: list[str]
    key: list[str]
    model: str
    max_tokens: int
    schema: dict[str, Any] | None
    wire: str
    identity: str
    files: list[list[Any]]
    parts: int
    rows: int
    requests: int
    source_bytes: int = 0
    question: str = ""
    """Hash of what all rows share: prompt template, schema, model and parameters."""

    @cached_property
    def frame(self) -> Frame:
        """The frame of every request of the run."""
        return Frame(wire=self.wire.encode(), identity=self.identity.encode())

    @cached_property
    def answer(self) -> AnswerType:
        """The type of every answer of the run."""
        return AnswerType(self.schema)

    def to_json(self) -> bytes:
        """Encode for `run.json`."""
        return msgspec.json.encode(asdict(self))

    @classmethod
    def from_json(cls, raw: bytes) -> Run:
        """Decode `run.json`; fields that a later version added are skipped."""
        return _decoder.decode(raw)


_decoder = msgspec.json.Decoder(Run)


def reference(settings: Enrichment, run: Run, buyer: str) -> RunRef:
    """Collect what the later tasks need to know of a run: ids and rules, no rows and no prompts."""
    return RunRef(
        state=settings.state_url,
        target=settings.output_name,
        partition=run.partition,
        snapshot=run.snapshot,
        buyer=buyer,
        rows=run.rows,
        requests=run.requests,
        rules=settings.rules,
    )


def question_name(frame: Frame, template: str, schema: Mapping[str, Any] | None) -> str:
    """Name what the requests of all rows share, by its hash."""
    question = [frame.identity.decode(), template, schema]
    return _short_hash(msgspec.json.encode(question))


def snapshot_name(settings: Mapping[str, Any], files: Sequence[Entry]) -> Snapshot:
    """Name a snapshot by the settings that shape it and the files it reads, as they are now."""
    listing = [[entry.key, entry.size, entry.etag] for entry in files]
    content = [FORM, dict(settings), listing]
    return Snapshot(_short_hash(msgspec.json.encode(content, order="sorted")))


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
