"""How often each endpoint was called and what it said: endpoint by status, `dropped` where no answer was sent."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Calls:
    """Counts of calls by endpoint and outcome."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, endpoint: str, outcome: str) -> None:
        self.counts[endpoint, outcome] += 1

    def table(self) -> dict[str, dict[str, int]]:
        """Return `{"create": {"200": 3, "429": 1}, …}`."""
        table: dict[str, dict[str, int]] = {}
        for (endpoint, outcome), count in sorted(self.counts.items()):
            table.setdefault(endpoint, {})[outcome] = count
        return table
