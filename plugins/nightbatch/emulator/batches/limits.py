"""The account's rate limits: a bucket that refills evenly over a minute, and the headers that speak of it."""

import math
from dataclasses import dataclass

from nightbatch.emulator.clock import timestamp
from nightbatch.emulator.errors import ApiError


@dataclass(slots=True)
class Bucket:
    """`capacity` calls a minute. `level` is what is left at `at`."""

    capacity: int
    level: float = -1.0
    at: float = 0.0

    def take(self, now: float) -> dict[str, str]:
        """Use one call and return the headers; raise the 429 when none is left."""
        passed = max(0.0, now - self.at)
        level = (
            self.capacity
            if self.level < 0
            else min(self.capacity, self.level + passed * self.capacity / 60)
        )
        self.at = now
        if level < 1:
            self.level = level
            wait = math.ceil((1 - level) * 60 / self.capacity)
            raise rate_limited(
                self.capacity, {**self._headers(now), "retry-after": str(wait)}
            )
        self.level = level - 1
        return self._headers(now)

    def _headers(self, now: float) -> dict[str, str]:
        full = now + (self.capacity - self.level) * 60 / self.capacity
        return {
            "anthropic-ratelimit-requests-limit": str(self.capacity),
            "anthropic-ratelimit-requests-remaining": str(int(self.level)),
            "anthropic-ratelimit-requests-reset": timestamp(full, "seconds"),
        }


def rate_limited(capacity: int, headers: dict[str, str]) -> ApiError:
    """Return the 429 of a used-up rate."""
    message = f"This request would exceed your organization's rate limit of {capacity:,} requests per minute."
    return ApiError("rate_limit_error", message, headers=headers)


def queue_full(limit: int) -> ApiError:
    """Return the 429 of a create that finds no room in the queue."""
    message = (
        f"This request would exceed your organization's limit of {limit:,} batch requests "
        "in the processing queue."
    )
    return ApiError("rate_limit_error", message, headers={"retry-after": "60"})
