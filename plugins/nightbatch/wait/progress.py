"""The progress of an attempt's batches, in words for the log of its wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from nightbatch.ids import BatchId
from nightbatch.ports import Batch
from nightbatch.wording import counted


@dataclass(frozen=True)
class AwaitedBatch:
    """A batch that is waited for: how many requests it has, and whether the run itself has bought it."""

    id: BatchId
    created_at: datetime
    requests: int
    is_own: bool


@dataclass(frozen=True)
class Progress:
    """The batches of an attempt. `usual`: how long earlier batches of this target took, the latest first."""

    batches: Sequence[AwaitedBatch]
    usual: Sequence[timedelta] = ()

    def words(self, ended: Mapping[BatchId, Batch | None], now: datetime) -> str:
        """Write the progress in one line. `ended`: the batches that have ended; None for one that is gone."""
        parts = [
            self._ended_count(ended),
            _counts(ended.values()),
        ]
        running = [batch for batch in self.batches if batch.id not in ended]
        if running:
            parts.append(_oldest_age(running, now))
            parts.append(self._expected(running))
        written_parts = filter(None, parts)
        return "; ".join(written_parts) + "."

    def _ended_count(self, ended: Mapping[BatchId, Batch | None]) -> str:
        batch_count = counted(len(self.batches), "batch", "batches")
        total_requests = sum(batch.requests for batch in self.batches)
        request_count = counted(total_requests, "request")
        return f"{len(ended):,} of {batch_count} ended ({request_count} in all)"

    def _expected(self, running: Sequence[AwaitedBatch]) -> str:
        """Write when the last of these will probably end."""
        if not self.usual:
            return "when they end is not known yet: no batch of this target has ended before"
        usual_duration = self._usual_duration()
        latest_creation = max(batch.created_at for batch in running)
        expected_end = latest_creation + usual_duration
        past_count = counted(len(self.usual), "batch", "batches")
        usual_time = _duration(usual_duration)
        history = f"the last {past_count} of this target took {usual_time}"
        return f"expected to end about {expected_end:%Y-%m-%d %H:%M} UTC ({history})"

    def _usual_duration(self) -> timedelta:
        past_seconds = [duration.total_seconds() for duration in self.usual]
        median_seconds = median(past_seconds)
        return timedelta(seconds=median_seconds)


def cut_short(own_batches: Sequence[AwaitedBatch]) -> str:
    """Say what becomes of batches that have not ended at the deadline; `own_batches`: those of the run itself."""
    return (
        f"The deadline has passed: {len(own_batches):,} batches are canceled; "
        "those of other runs are left alone."
    )


def _oldest_age(running: Sequence[AwaitedBatch], now: datetime) -> str:
    oldest = min(batch.created_at for batch in running)
    age = _duration(now - oldest)
    return f"the oldest that runs was created {age} ago"


def _counts(batches: Collection[Batch | None]) -> str:
    status_counts = Counter[str]()
    gone_count = 0
    for batch in batches:
        if batch is None:
            gone_count += 1
        else:
            status_counts.update(batch.counts)
    parts = [
        f"{count:,} {status}" for status, count in status_counts.most_common() if count
    ]
    if gone_count:
        parts.append(f"{counted(gone_count, 'batch is', 'batches are')} gone")
    return ", ".join(parts)


def _duration(duration: timedelta) -> str:
    """Write a duration as a person says it."""
    exact_seconds = duration.total_seconds()
    seconds = max(0, round(exact_seconds))
    if seconds < 100:
        return counted(seconds, "second")
    minutes = round(seconds / 60)
    if minutes < 100:
        return counted(minutes, "minute")
    hours = minutes / 60
    return f"{hours:.1f} hours"
