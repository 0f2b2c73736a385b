"""A batch over time: its status follows from when it was created, how long it takes, and when it was canceled."""

from dataclasses import dataclass
from typing import Literal, NewType

BatchId = NewType("BatchId", str)
Status = Literal["in_progress", "canceling", "ended"]


@dataclass(slots=True)
class Timeline:
    """The facts of one batch's time, in seconds since the epoch.

    Requests are answered evenly over `duration`, up to the share `answers_until` (less than 1: the batch never ends by
    itself). `cancel_at` may be in the future: another client will cancel it then.
    """

    created_at: float
    duration: float
    expires_at: float
    answers_until: float = 1.0
    cancel_at: float | None = None
    cancel_takes: float = 0.0

    def ends_at(self) -> float:
        """Return when the last request is done: by itself, by cancellation, or by expiry."""
        ends_at = self.expires_at
        if self.answers_until >= 1.0:
            done_at = self.created_at + self.duration
            ends_at = min(ends_at, done_at)
        if self.cancel_at is not None:
            canceled_at = self.cancel_at + self.cancel_takes
            ends_at = min(ends_at, canceled_at)
        return ends_at

    def canceled(self, now: float) -> bool:
        return self.cancel_at is not None and self.cancel_at <= now

    def status(self, now: float) -> Status:
        if now >= self.ends_at():
            return "ended"
        return "canceling" if self.canceled(now) else "in_progress"

    def answered(self, count: int) -> int:
        """Return how many of `count` requests will have been answered when the batch ends."""
        latest_stop = self.expires_at if self.cancel_at is None else self.cancel_at
        stops_at = min(self.ends_at(), latest_stop)
        answered_share = min(self._elapsed_share(stops_at), self.answers_until)
        return int(count * answered_share)

    def _elapsed_share(self, moment: float) -> float:
        """Return the share of the duration that has passed at a moment, from 0 to 1."""
        if moment >= self.created_at + self.duration:
            return 1.0
        elapsed_seconds = max(moment - self.created_at, 0.0)
        return elapsed_seconds / self.duration

    def left_over(self) -> Literal["canceled", "expired"]:
        """Return what becomes of the requests that are not answered."""
        if self.cancel_at is None or self.cancel_at >= self.expires_at:
            return "expired"
        return "canceled"
