"""The Message Batches API in memory, with a clock that is turned and faults that are set: for tests and for trying out.

It answers every request with a text that follows from its params, takes an hour for a batch, and keeps what it was
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
from nightbatch.ports import Batch, Body, Page

HOUR, DAY, KEPT = timedelta(hours=1), timedelta(days=1), timedelta(days=29)
Answer = Callable[[dict[str, Any]], str]


@dataclass
class Clock:
    """A time that stands still until it is turned."""

    at: datetime = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def turn(self, seconds: float) -> None:
        """Let so many seconds pass; fewer than none turn it back."""
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

    def told(self, now: datetime) -> Batch:
        """Return the batch as the API tells it."""
        ended = now >= self.ends_at
        kinds = (
            Counter(line["result"]["type"] for line in self.results)
            if ended
            else {"processing": len(self.results)}
        )
        archived = now > self.created_at + KEPT
        return Batch(
            self.id,
            self.created_at,
            ended,
            dict(kinds),
            expires_at=self.created_at + DAY,
            archived=archived,
            ended_at=self.ends_at if ended else None,
        )


@dataclass
class Faults:
    """What goes wrong with the next creates and reads; each is used up once.

    `creates`: `lost` (the answer, after the batch was made), `dropped` (a maybe that made none), and the definite noes
    `refused` (for now), `odd` (worth one more try) and `too large` (for good). `rows`: how rows of the next batch end,
    by position: `errored`, `expired`, `canceled`. `reads`: so many reads fail. `results`: what the next readings of
    results find: `gone`, `empty`, or `strange` (a line of somebody else's first). `pages`: so many pages but the first
    come empty.
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
        self._now, self._answer = now, answer
        self.page_size = 1000
        self.made: list[MemoryBatch] = []
        self.faults = Faults()
        self.arriving: Callable[[], None] = lambda: None
        """What happens while a body that was sent whole is still on its way."""
        self.result_reads: Counter[BatchId] = Counter()

    def create(self, body: Body) -> Batch:
        try:
            raw = b"".join(body.chunks)
        except Incomplete:
            raise
        except NightbatchError as error:
            raise NotSent(f"the body was not sent whole: {error}") from None
        fault = self.faults.creates.pop(0) if self.faults.creates else ""
        if fault == "refused":
            raise NotSent("the API answered 429.", retry_after=30)
        if fault == "odd":
            raise NotSent("the API answered 400.", once=True)
        if fault == "too large":
            raise NotSent("the API answered 413.", retryable=False)
        if len(raw) != body.size:
            raise NotSent("the body is not of its size.")
        if fault == "dropped":
            raise MaybeSent("the answer to the create was lost.")
        self.arriving()
        made = self.add(json.loads(raw)["requests"])
        if fault == "lost":
            raise MaybeSent("the answer to the create was lost.")
        return made.told(self._now())

    def page(self, after: BatchId | None = None) -> Page:
        self._read()
        if after is not None and self.faults.pages > 0:
            self.faults.pages -= 1
            return Page([], None)
        newest = [batch for batch in reversed(self.made) if not batch.deleted]
        start = next(
            (place + 1 for place, batch in enumerate(newest) if batch.id == after), 0
        )
        shown = newest[start : start + self.page_size]
        more = start + self.page_size < len(newest)
        return Page(
            [batch.told(self._now()) for batch in shown], shown[-1].id if more else None
        )

    def batch(self, batch: BatchId) -> Batch:
        return self._find(batch).told(self._now())

    def cancel(self, batch: BatchId) -> Batch:
        found = self._find(batch)
        if self._now() < found.ends_at:
            found.ends_at = self._now()
            for line in found.results:
                line["result"] = {"type": "canceled"}
        return found.told(self._now())

    @contextmanager
    def results(self, batch: BatchId) -> Iterator[Iterator[bytes]]:
        found = self._find(batch)
        if self._now() < found.ends_at or self._now() > found.created_at + KEPT:
            raise BatchGone(f"there are no results of batch {batch}.")
        fault = self.faults.results.pop(0) if self.faults.results else ""
        if fault == "gone":
            raise BatchGone(f"there are no results of batch {batch}.")
        self.result_reads[batch] += 1
        before = (
            [{"custom_id": "theirs", "result": {"type": "canceled"}}]
            if fault == "strange"
            else []
        )
        lines = [] if fault == "empty" else [*before, *found.results]
        yield (json.dumps(line).encode() + b"\n" for line in lines)

    def add(self, requests: list[dict[str, Any]]) -> MemoryBatch:
        """Create a batch, whoever sent it."""
        now, ends = self._now(), dict(self.faults.rows)
        self.faults.rows.clear()
        results = [
            {
                "custom_id": one["custom_id"],
                "result": self._result(one["params"], ends.get(place)),
            }
            for place, one in enumerate(requests)
        ]
        takes = DAY if "expired" in ends.values() else HOUR
        name = BatchId(f"msgbatch_{len(self.made) + 1:06d}")
        batch = MemoryBatch(
            name,
            requests,
            now,
            now + takes,
            sorted(results, key=lambda line: str(line["custom_id"])),
        )
        self.made.append(batch)
        return batch

    def bought(self) -> Counter[str]:
        """Count for each custom_id how often it was answered, and so billed."""
        lines = (line for batch in self.made for line in batch.results)
        return Counter(
            line["custom_id"] for line in lines if line["result"]["type"] == "succeeded"
        )

    def _find(self, batch: BatchId) -> MemoryBatch:
        self._read()
        for one in self.made:
            if one.id == batch and not one.deleted:
                return one
        raise BatchGone(f"there is no batch {batch}.")

    def _read(self) -> None:
        if self.faults.reads > 0:
            self.faults.reads -= 1
            raise ApiUnavailable("the API answered 500.")

    def _result(self, params: dict[str, Any], fault: str | None) -> dict[str, Any]:
        if fault == "errored":
            return {
                "type": fault,
                "error": {
                    "type": "error",
                    "error": {"type": "api_error", "message": "Overloaded"},
                },
            }
        if fault is not None:
            return {"type": fault}
        usage = {"input_tokens": 10, "output_tokens": 5, "service_tier": "batch"}
        text = [{"type": "text", "text": self._answer(params)}]
        message = {
            "content": text,
            "model": params.get("model"),
            "stop_reason": "end_turn",
            "usage": usage,
        }
        return {"type": "succeeded", "message": message}


def _prompt(params: dict[str, Any]) -> str:
    return str(params["messages"][-1]["content"])
