"""The settings of one emulator; the defaults are the limits of the real API, with short batches."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

DAY = 86_400.0

TimestampStyle = Literal["zulu", "offset", "seconds"]


@dataclass(frozen=True)
class Limits:
    """The account's limits. Bytes are of a create body; rates are calls a minute; the queue counts requests."""

    max_requests: int = 100_000
    max_bytes: int = 256_000_000
    requests_per_minute: int = 4_000
    count_tokens_per_minute: int = 8_000
    queue: int = 500_000
    expires_after: float = DAY
    results_for: float = 29 * DAY


@dataclass(frozen=True)
class BatchDuration:
    """How long things take, in seconds.

    A batch of n requests lasts `seconds` x (1 + log10 n); a cancellation half of `seconds` at most. `begins_after` is
    the share of that time from a request's start to its answer's beginning: in it a cold batch misses the cache.
    """

    seconds: float = 0.5
    begins_after: float = 0.3
    retry_after: int = 10

    def duration(self, count: int) -> float:
        magnitude = math.log10(max(count, 1))
        return self.seconds * (1 + magnitude)


LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Settings:
    """One emulator. `api_keys` empty: any key is accepted. `state` None: nothing is kept after it ends.

    `allowed_hosts`: NAME or NAME:PORT in lower case, by which callers may call it besides loopback's names.
    `faults` are the specs of those that are set from the start, and again after a reset.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allowed_hosts: frozenset[str] = frozenset()
    seed: int = 0
    responder: str = "nightbatch.emulator.responders.builtin:schema"
    api_keys: frozenset[str] = frozenset()
    clock_offset: float = 0.0
    timestamps: TimestampStyle = "zulu"
    cancel_ended: Literal[200, 400, 409] = 400
    results_type: str = "application/x-jsonl"
    gzip: bool = False
    state: Path | None = None
    faults: tuple[Any, ...] = ()
    limits: Limits = field(default_factory=Limits)
    pace: BatchDuration = field(default_factory=BatchDuration)

    @property
    def names(self) -> frozenset[str]:
        """Its own host names; they count with its own port only."""
        return LOOPBACK_NAMES | {self.host.lower()}
