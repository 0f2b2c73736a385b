"""What the rows about to be published look like, and what the checks find in that.

Values are compared, never told: a finding names a column and a number, no key and no answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.errors import RunFailed, SourceError
from nightbatch.ledger.marker import Profile
from nightbatch.prepare.unique_key import KeyCheck
from nightbatch.spec.checks import OFF, RED, Checks

FEWEST_ROWS = 30
"""Below this the share of a category says nothing yet: drift is not judged."""
MOST_VALUES = 1_000
"""A column with more different values than this holds no categories."""


@dataclass(frozen=True)
class Finding:
    """What one check found. `value` and `limit` are shares or counts."""

    check: str
    level: str
    passed: bool
    value: float
    limit: float
    column: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what a report holds."""
        return {
            name: value for name, value in asdict(self).items() if value is not None
        }

    def __str__(self) -> str:
        of = f" of column {self.column}" if self.column else ""
        return f"check {self.check}{of}: {self.value:g}, limit {self.limit:g}"


@dataclass
class Watch:
    """Looks at the output rows on their way into the files."""

    checks: Checks
    key: Sequence[str]
    rows: int = 0
    repeats: bool = False
    _keys: KeyCheck = field(init=False)
    _values: dict[str, Counter[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._keys = KeyCheck(list(self.key) if self.checks.unique != OFF else [])
        self._values = {
            name: Counter() for name in self.checks.columns if self.checks.drift != OFF
        }

    def see(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Take in rows, and hand them on."""
        self.rows += rows.num_rows
        self._keys.add(rows)
        for name, counts in self._values.items():
            if len(counts) <= MOST_VALUES:
                column = pc.drop_null(rows.column(name))
                counted = pc.value_counts(column).to_pylist()
                counts.update({str(one["values"]): one["counts"] for one in counted})
        return rows

    @property
    def profile(self) -> Profile:
        """How many rows have which value, for the nights to come."""
        return {
            name: dict(counts)
            for name, counts in self._values.items()
            if len(counts) <= MOST_VALUES
        }

    def close(self, again: Callable[[], Iterable[pa.RecordBatch]]) -> None:
        """Find out whether a key is null or stands twice; `again` reads the key columns once more."""
        try:
            self._keys.check(again)
        except SourceError:
            self.repeats = True


def drift(profile: Mapping[str, int], before: Sequence[Mapping[str, int]]) -> float:
    """Return by how much the share of one value differs most from its mean over the nights before, 0 to 1."""
    nights = [_shares(one) for one in before if sum(one.values())]
    now = _shares(profile)
    if not nights or not now:
        return 0.0
    values = now.keys() | {value for night in nights for value in night}
    means = {
        value: sum(night.get(value, 0.0) for night in nights) / len(nights)
        for value in values
    }
    return max(abs(now.get(value, 0.0) - mean) for value, mean in means.items())


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {value: count / total for value, count in counts.items()} if total else {}


def judge(
    watch: Watch,
    *,
    expected: int,
    answered: int,
    repeats: bool,
    history: Sequence[Profile],
) -> list[Finding]:
    """Make every check that is on. `history` holds the profiles of the nights before, the newest last."""
    checks, found = watch.checks, list[Finding]()
    found.append(
        Finding("rows", checks.rows, watch.rows == expected, watch.rows, expected)
    )
    found.append(Finding("unique", checks.unique, not repeats, float(repeats), 0))
    share = answered / watch.rows if watch.rows else 1.0
    found.append(
        Finding(
            "answered",
            checks.answered,
            share >= checks.least_answered,
            round(share, 4),
            checks.least_answered,
        )
    )
    for name in checks.columns:
        profile = watch.profile.get(name)
        if profile is None:
            found.append(
                Finding(
                    "drift",
                    checks.drift,
                    passed=False,
                    value=MOST_VALUES,
                    limit=MOST_VALUES,
                    column=name,
                )
            )
        elif sum(profile.values()) >= FEWEST_ROWS:
            moved = drift(
                profile,
                [night[name] for night in history[-checks.nights :] if name in night],
            )
            found.append(
                Finding(
                    "drift",
                    checks.drift,
                    moved <= checks.most_drift,
                    round(moved, 4),
                    checks.most_drift,
                    name,
                )
            )
    return [one for one in found if one.level != OFF]


def require_sound(findings: Sequence[Finding]) -> None:
    """Raise RunFailed if a red check has not passed."""
    if failed := [str(one) for one in findings if one.level == RED and not one.passed]:
        raise RunFailed(
            f"{'; '.join(failed)}. Nothing was published; answers that were bought are kept."
        )
