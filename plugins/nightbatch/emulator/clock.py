"""The emulator's clock: wall time plus an offset that tests turn, so that 24 hours and 29 days pass in no time."""

import time
from datetime import UTC, datetime

from nightbatch.emulator.settings import TimestampStyle


class Clock:
    """Tell the emulated time, in seconds since the epoch."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Turn the clock by `seconds`; less than zero turns it back."""
        self.offset += seconds


def timestamp(at: float, style: TimestampStyle = "zulu") -> str:
    """Write a moment in one of the three forms of RFC 3339 that the API has been seen to send."""
    moment = datetime.fromtimestamp(at, UTC)
    if style == "seconds":
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if style == "offset":
        return moment.isoformat(timespec="microseconds")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
