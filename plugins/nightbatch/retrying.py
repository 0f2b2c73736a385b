"""When to try again: after each failure in a row the pause grows, up to a longest one."""

from __future__ import annotations

from dataclasses import dataclass

MOST_GROWTHS = 30
"""More are never needed, and about a thousand overflow a float."""


@dataclass(frozen=True)
class Backoff:
    """Pauses between tries: each is `factor` times as long as the one before."""

    first_seconds: float
    most_seconds: float
    factor: float = 2.0

    def pause(self, failures: int, asked_seconds: float | None = None) -> float:
        """Return the pause after N failures in a row, or the one that the other side asks for if that is longer."""
        growths = min(failures - 1, MOST_GROWTHS)
        grown_seconds = self.first_seconds * self.factor**growths
        own_seconds = min(self.most_seconds, grown_seconds)
        return max(own_seconds, asked_seconds or 0.0)
