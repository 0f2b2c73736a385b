"""The Message Batches API in memory, with a clock and faults that a test sets: for tests and experiments.

It answers every request with a text that depends only on its params, takes an hour for a batch, and keeps what it was
sent, so that a test can ask it what was bought twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nightbatch.errors import (
    ApiUnavailable,
    BatchGone,
    Incomplete,
    MaybeSent,
    NightbatchError,
    NotSent,
)
from nightbatch.ids import BatchId
from nightbatch.land.read_results import KEPT as RESULTS_KEPT
from nightbatch.ports import Batch, Body, Page

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
Answer = Callable[[dict[str, Any]], str]


@dataclass
class Clock:
    """A time that changes only when it is set."""

    at: datetime = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def turn(self, seconds: float) -> None:
        """Let N seconds pass; a negative number sets the clock back."""
        self.at += timedelta(seconds=seconds)


@dataclass
class MemoryBatch:
    """A batch as the API keeps it."""

    id: BatchId
    requests: list[dict[str, Any]]
    created_at: datetime
    ends_at: datetime
    results: list[dict[str, Any]]
    deleted: bool = False

    def status_at(self, now: datetime) -> Batch:
        """Return the batch as the API reports it at a time."""
        has_ended = now >= self.ends_at
        counts = self._result_counts() if has_ended else self._processing_counts()
        return Batch(
            self.id,
            self.created_at,
            has_ended,
            counts,
            expires_at=self.created_at + DAY,
            archived=now > self.created_at + RESULTS_KEPT,
            ended_at=self.ends_at if has_ended else None,
        )

    def _result_counts(self) -> dict[str, int]:
        result_types = Counter(line["result"]["type"] for line in self.results)
        return dict(result_types)

    def _processing_counts(self) -> dict[str, int]:
        return {"processing": len(self.results)}


@dataclass
class Faults:
    """What goes wrong with the next creates and reads; each is used up once.

    `creates`: `lost` (the answer is lost after the batch was created), `dropped` (the answer is lost and there is no
    batch), and the definite refusals `refused` (temporary), `odd` (worth one more try) and `too large` (permanent).
    `rows`: how rows of the next batch end, by position: `errored`, `expired`, `canceled`. `reads`: N reads fail.
    `results`: what the next reads of results return: `gone`, `empty`, or `strange` (with a line of another batch
    first). `pages`: N pages after the first come empty.
    """

    creates: list[str] = field(default_factory=list)
    rows: dict[int, str] = field(default_factory=dict)
    reads: int = 0
    results: list[str] = field(default_factory=list)
    pages: int = 0


class MemoryBatches:
    """Buy and read batches that live in memory."""

    def __init__(
        self,
        now: Callable[[], datetime],
        answer: Answer = lambda params: f"about {_prompt(params)}",
    ) -> None:
        self._now = now
        self._answer = answer
        self.page_size = 1000
        self.made: list[MemoryBatch] = []
        self.faults = Faults()
        self.arriving: Callable[[], None] = lambda: None
        """What happens while a body that was sent whole is still on its way."""
        self.result_reads: Counter[BatchId] = Counter()

    def create(self, body: Body) -> Batch:
        raw_body = _received(body)
        fault = _next_fault(self.faults.creates)
        _refuse(fault)
        if len(raw_body) != body.size:
            raise NotSent("the body is not of its size.")
        if fault == "dropped":
            raise MaybeSent("the answer to the create was lost.")
        self.arriving()
        new_batch = self.add(json.loads(raw_body)["requests"])
        if fault == "lost":
            raise MaybeSent("the answer to the create was lost.")
        return new_batch.status_at(self._now())

    def page(self, after: BatchId | None = None) -> Page:
        self._read()
        if after is not None and self.faults.pages > 0:
            self.faults.pages -= 1
            return Page([], None)
        newest_first = [batch for batch in reversed(self.made) if not batch.deleted]
        start = _position_after(after, newest_first)
        end = start + self.page_size
        page_batches = newest_first[start:end]
        statuses = [batch.status_at(self._now()) for batch in page_batches]
        has_next = end < len(newest_first)
        return Page(statuses, page_batches[-1].id if has_next else None)

    def batch(self, batch: BatchId) -> Batch:
        return self._find(batch).status_at(self._now())

    def cancel(self, batch: BatchId) -> Batch:
        kept_batch = self._find(batch)
        if self._now() < kept_batch.ends_at:
            kept_batch.ends_at = self._now()
            for line in kept_batch.results:
                line["result"] = {"type": "canceled"}
        return kept_batch.status_at(self._now())

    @contextmanager
    def results(self, batch: BatchId) -> Iterator[Iterator[bytes]]:
        kept_batch = self._find(batch)
        has_ended = self._now() >= kept_batch.ends_at
        has_expired = self._now() > kept_batch.created_at + RESULTS_KEPT
        if has_expired or not has_ended:
            raise BatchGone(f"there are no results of batch {batch}.")
        fault = _next_fault(self.faults.results)
        if fault == "gone":
            raise BatchGone(f"there are no results of batch {batch}.")
        self.result_reads[batch] += 1
        result_lines = _result_lines(kept_batch, fault)
        yield (json.dumps(line).encode() + b"\n" for line in result_lines)

    def add(self, requests: list[dict[str, Any]]) -> MemoryBatch:
        """Create a batch, whoever sent it."""
        created_at = self._now()
        row_faults = dict(self.faults.rows)
        self.faults.rows.clear()
        results = [
            self._result_line(request, row_faults.get(position))
            for position, request in enumerate(requests)
        ]
        results.sort(key=lambda line: str(line["custom_id"]))
        processing_time = DAY if "expired" in row_faults.values() else HOUR
        new_batch = MemoryBatch(
            id=BatchId(f"msgbatch_{len(self.made) + 1:06d}"),
            requests=requests,
            created_at=created_at,
            ends_at=created_at + processing_time,
            results=results,
        )
        self.made.append(new_batch)
        return new_batch

    def bought(self) -> Counter[str]:
        """Count for each custom_id how often it was answered, and so billed."""
        purchases = Counter[str]()
        for batch in self.made:
            for line in batch.results:
                if line["result"]["type"] == "succeeded":
                    purchases[line["custom_id"]] += 1
        return purchases

    def _find(self, batch: BatchId) -> MemoryBatch:
        self._read()
        for kept_batch in self.made:
            if kept_batch.id == batch and not kept_batch.deleted:
                return kept_batch
        raise BatchGone(f"there is no batch {batch}.")

    def _read(self) -> None:
        if self.faults.reads > 0:
            self.faults.reads -= 1
            raise ApiUnavailable("the API answered 500.")

    def _result_line(
        self, request: dict[str, Any], fault: str | None
    ) -> dict[str, Any]:
        result = self._result(request["params"], fault)
        return {"custom_id": request["custom_id"], "result": result}

    def _result(self, params: dict[str, Any], fault: str | None) -> dict[str, Any]:
        if fault == "errored":
            api_error = {"type": "api_error", "message": "Overloaded"}
            return {"type": fault, "error": {"type": "error", "error": api_error}}
        if fault is not None:
            return {"type": fault}
        text_block = {"type": "text", "text": self._answer(params)}
        message = {
            "content": [text_block],
            "model": params.get("model"),
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 10, "output_tokens": 5, "service_tier": "batch"},
        }
        return {"type": "succeeded", "message": message}


def _next_fault(faults: list[str]) -> str:
    """Take the next fault from a list; an empty text is none."""
    return faults.pop(0) if faults else ""


def _position_after(after: BatchId | None, batches: list[MemoryBatch]) -> int:
    for position, batch in enumerate(batches):
        if batch.id == after:
            return position + 1
    return 0


def _received(body: Body) -> bytes:
    try:
        return b"".join(body.chunks)
    except Incomplete:
        raise
    except NightbatchError as error:
        raise NotSent(f"the body was not sent whole: {error}") from None


def _refuse(fault: str) -> None:
    """Raise what a fault stands for, if it is a definite refusal."""
    if fault == "refused":
        raise NotSent("the API answered 429.", retry_after=30)
    if fault == "odd":
        raise NotSent("the API answered 400.", once=True)
    if fault == "too large":
        raise NotSent("the API answered 413.", retryable=False)


def _result_lines(batch: MemoryBatch, fault: str) -> list[dict[str, Any]]:
    if fault == "empty":
        return []
    if fault == "strange":
        strange_line = {"custom_id": "theirs", "result": {"type": "canceled"}}
        return [strange_line, *batch.results]
    return list(batch.results)


def _prompt(params: dict[str, Any]) -> str:
    return str(params["messages"][-1]["content"])
