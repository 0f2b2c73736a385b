"""The emulator's clock: wall time plus an offset that tests turn, so that 24 hours or 29 days pass at once."""

import time
from datetime import UTC, datetime

from nightbatch.emulator.settings import TimestampStyle


class Clock:
    """The emulated time, in seconds since the epoch."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Turn the clock by `seconds`; less than zero turns it back."""
        self.offset += seconds


def timestamp(at: float, style: TimestampStyle = "zulu") -> str:
    """Format a moment in one of the three forms of RFC 3339 that the API has been observed to send."""
    moment = datetime.fromtimestamp(at, UTC)
    if style == "seconds":
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if style == "offset":
        return moment.isoformat(timespec="microseconds")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
