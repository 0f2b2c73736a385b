"""How far the batches of an attempt are, in words for the log of its wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from nightbatch.ids import BatchId
from nightbatch.plurals import counted
from nightbatch.ports import Batch


@dataclass(frozen=True)
class AwaitedBatch:
    """A batch that is waited for: how many requests it has, and whether the run itself has bought it."""

    id: BatchId
    created_at: datetime
    requests: int
    is_own: bool


@dataclass(frozen=True)
class Progress:
    """What is known of the batches of an attempt. `usual`: how long batches of this target took, the latest first."""

    batches: Sequence[AwaitedBatch]
    usual: Sequence[timedelta] = ()

    def words(self, ended: Mapping[BatchId, Batch | None], now: datetime) -> str:
        """Say in one line what a person wants to know. `ended`: what they came to; None for one that is gone."""
        running = [batch for batch in self.batches if batch.id not in ended]
        requests = sum(batch.requests for batch in self.batches)
        head = (
            f"{len(ended):,} of {counted(len(self.batches), 'batch', 'batches')} ended"
        )
        parts = [
            f"{head} ({counted(requests, 'request')} in all)",
            _counts(ended.values()),
        ]
        if running:
            oldest = min(batch.created_at for batch in running)
            parts.append(
                f"the oldest that runs was created {_duration(now - oldest)} ago"
            )
            parts.append(self._expected(running))
        return "; ".join(part for part in parts if part) + "."

    def _expected(self, running: Sequence[AwaitedBatch]) -> str:
        """Say when the last of these will probably end."""
        if not self.usual:
            return "when they end is not known yet: no batch of this target has ended before"
        usual = timedelta(
            seconds=median(duration.total_seconds() for duration in self.usual)
        )
        latest = max(batch.created_at for batch in running) + usual
        history = f"the last {counted(len(self.usual), 'batch', 'batches')} of this target took {_duration(usual)}"
        return f"expected to end about {latest:%Y-%m-%d %H:%M} UTC ({history})"


def _counts(batches: Collection[Batch | None]) -> str:
    counts = Counter[str]()
    for batch in batches:
        counts.update(batch.counts if batch else {})
    gone = sum(batch is None for batch in batches)
    words = [f"{count:,} {kind}" for kind, count in counts.most_common() if count]
    return ", ".join(
        [
            *words,
            *([f"{counted(gone, 'batch is', 'batches are')} gone"] if gone else []),
        ]
    )


def _duration(duration: timedelta) -> str:
    """Write a duration as a person says it."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 100:
        return counted(seconds, "second")
    minutes = round(seconds / 60)
    return counted(minutes, "minute") if minutes < 100 else f"{minutes / 60:.1f} hours"
