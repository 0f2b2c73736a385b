"""The account's rate limits: a bucket that refills evenly over a minute, and the headers that report it."""

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
        self.level = self._refilled_level(now)
        self.at = now
        if self.level < 1:
            raise self._rate_limited(now)
        self.level -= 1
        return self._headers(now)

    def _rate_limited(self, now: float) -> ApiError:
        """Return the 429 of a used-up rate, which says when there is a call left again."""
        missing_share = 1 - self.level
        wait_seconds = missing_share * 60 / self.capacity
        headers = self._headers(now)
        headers["retry-after"] = str(math.ceil(wait_seconds))
        message = f"This request would exceed your organization's rate limit of {self.capacity:,} requests per minute."
        return ApiError("rate_limit_error", message, headers=headers)

    def _refilled_level(self, now: float) -> float:
        if self.level < 0:
            return self.capacity
        elapsed_seconds = max(0.0, now - self.at)
        refill = elapsed_seconds * self.capacity / 60
        return min(self.capacity, self.level + refill)

    def _headers(self, now: float) -> dict[str, str]:
        whole_calls = int(self.level)
        missing_calls = self.capacity - self.level
        missing_seconds = missing_calls * 60 / self.capacity
        full_at = now + missing_seconds
        return {
            "anthropic-ratelimit-requests-limit": str(self.capacity),
            "anthropic-ratelimit-requests-remaining": str(whole_calls),
            "anthropic-ratelimit-requests-reset": timestamp(full_at, "seconds"),
        }


def queue_full(limit: int) -> ApiError:
    """Return the 429 of a create that finds no room in the queue."""
    message = (
        f"This request would exceed your organization's limit of {limit:,} batch requests "
        "in the processing queue."
    )
    return ApiError("rate_limit_error", message, headers={"retry-after": "60"})
