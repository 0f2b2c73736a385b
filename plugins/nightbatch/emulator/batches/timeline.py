"""How a batch passes through time: every state follows from when it was made, how long it takes, who stopped it."""

from dataclasses import dataclass
from typing import Literal, NewType

BatchId = NewType("BatchId", str)
Status = Literal["in_progress", "canceling", "ended"]


@dataclass(slots=True)
class Timeline:
    """The facts of one batch's time, in seconds since the epoch.

    Requests are answered evenly over `duration`, up to the share `answers_until` (less than 1: the batch never ends by
    itself). `cancel_at` may lie ahead: somebody else will cancel it then.
    """

    created_at: float
    duration: float
    expires_at: float
    answers_until: float = 1.0
    cancel_at: float | None = None
    cancel_takes: float = 0.0

    def ends_at(self) -> float:
        """Return when the last request is done: by itself, by cancellation, or by expiry."""
        natural = (
            self.created_at + self.duration
            if self.answers_until >= 1.0
            else self.expires_at
        )
        ends = min(natural, self.expires_at)
        return (
            ends
            if self.cancel_at is None
            else min(ends, self.cancel_at + self.cancel_takes)
        )

    def cancelled(self, now: float) -> bool:
        return self.cancel_at is not None and self.cancel_at <= now

    def status(self, now: float) -> Status:
        if now >= self.ends_at():
            return "ended"
        return "canceling" if self.cancelled(now) else "in_progress"

    def answered(self, count: int) -> int:
        """Return how many of `count` requests will have been answered when the batch ends."""
        stop = min(
            self.ends_at(),
            self.expires_at if self.cancel_at is None else self.cancel_at,
        )
        through = stop >= self.created_at + self.duration
        share = 1.0 if through else (stop - self.created_at) / self.duration
        return int(count * min(max(share, 0.0), self.answers_until))

    def left_over(self) -> Literal["canceled", "expired"]:
        """Return what becomes of the requests that are not answered."""
        return (
            "expired"
            if self.cancel_at is None or self.cancel_at >= self.expires_at
            else "canceled"
        )
