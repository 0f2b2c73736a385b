"""What one request has used: its tokens by class, as the API reports them."""

from __future__ import annotations

from dataclasses import dataclass

BATCH = "batch"


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The tokens of one request by class; `input` is what was neither read from nor written to the cache.

    tools: uses of each of SERVER_TOOLS.
    """

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0
    service_tier: str = BATCH
    inference_geo: str | None = None
    tools: tuple[int, int, int] = (0, 0, 0)

    @property
    def classes(self) -> tuple[int, int, int, int, int]:
        """The tokens by class, in the order of `Rates`."""
        return (
            self.input,
            self.cache_write_5m,
            self.cache_write_1h,
            self.cache_read,
            self.output,
        )


TOKENS = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")
