"""Profile the rows that are about to be published, and run the checks on the profile.

Values are compared, never shown: a finding contains a column and a number, no key and no answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from nightbatch.columnar.value_counts import value_counts
from nightbatch.errors import RunFailed, SourceError
from nightbatch.ledger.marker import Profile
from nightbatch.prepare.unique_key import KeyCheck
from nightbatch.spec.checks import OFF, RED, Checks

Counts = Mapping[str, int]
"""How many rows have which value."""
Shares = Mapping[str, float]
"""The share of each value in all rows, 0 to 1."""
FEWEST_ROWS = 30
"""With fewer rows the share of a category is not significant: drift is not checked."""
MOST_VALUES = 1_000
"""A column with more different values than this is not a column of categories."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. `value` and `limit` are shares or counts."""

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
        subject = f" of column {self.column}" if self.column else ""
        return f"check {self.check}{subject}: {self.value:g}, limit {self.limit:g}"


@dataclass
class QualityProbe:
    """Counts the values and keys of the output rows before they are written."""

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

    def count(self, rows: pa.RecordBatch) -> None:
        """Count rows, their keys and the values of the checked columns."""
        self.rows += rows.num_rows
        self._keys.add(rows)
        for name, counts in self._categories().items():
            _count_values(rows.column(name), counts)

    @property
    def profile(self) -> Profile:
        """How many rows have which value, by column, for the checks of later partitions."""
        return {name: dict(counts) for name, counts in self._categories().items()}

    def _categories(self) -> dict[str, Counter[str]]:
        """Return the counts of the columns that may still be columns of categories."""
        return {
            name: counts
            for name, counts in self._values.items()
            if len(counts) <= MOST_VALUES
        }

    def check_keys(self, read_again: Callable[[], Iterable[pa.RecordBatch]]) -> None:
        """Check whether a key is null or occurs more than once; `read_again` reads the key columns again."""
        try:
            self._keys.check(read_again)
        except SourceError:
            self.repeats = True


def _count_values(column: pa.Array, counts: Counter[str]) -> None:
    for value, row_count in value_counts(column):
        counts[str(value)] += row_count


def drift(profile: Counts, before: Sequence[Counts]) -> float:
    """Return the largest difference of a value's share from its mean over the profiles before, 0 to 1."""
    past_shares = [_shares(counts) for counts in before if sum(counts.values())]
    present_shares = _shares(profile)
    if not past_shares:
        return 0.0
    if not present_shares:
        return 0.0
    values = set(present_shares)
    for night_shares in past_shares:
        values.update(night_shares)
    largest_difference = 0.0
    for value in values:
        present_share = present_shares.get(value, 0.0)
        mean_share = _mean_share(value, past_shares)
        difference = abs(present_share - mean_share)
        largest_difference = max(largest_difference, difference)
    return largest_difference


def _mean_share(value: str, night_shares: Sequence[Shares]) -> float:
    value_shares = [shares.get(value, 0.0) for shares in night_shares]
    return sum(value_shares) / len(value_shares)


def _shares(counts: Counts) -> Shares:
    """Return the share of each value in all rows."""
    total = sum(counts.values())
    if not total:
        return {}
    return {value: count / total for value, count in counts.items()}


def findings(
    probe: QualityProbe,
    *,
    expected: int,
    answered: int,
    repeats: bool,
    history: Sequence[Profile],
) -> list[Finding]:
    """Run every check that is on. `history` holds the profiles of earlier partitions, the newest last."""
    checks = probe.checks
    row_count = probe.rows
    answered_share = answered / row_count if row_count else 1.0
    all_findings = [
        Finding(
            check="rows",
            level=checks.rows,
            passed=row_count == expected,
            value=row_count,
            limit=expected,
        ),
        Finding(
            check="unique",
            level=checks.unique,
            passed=not repeats,
            value=float(repeats),
            limit=0,
        ),
        Finding(
            check="answered",
            level=checks.answered,
            passed=answered_share >= checks.least_answered,
            value=round(answered_share, 4),
            limit=checks.least_answered,
        ),
    ]
    all_findings += _drift_findings(checks, probe.profile, history)
    return [finding for finding in all_findings if finding.level != OFF]


def _drift_findings(
    checks: Checks, profile: Profile, history: Sequence[Profile]
) -> list[Finding]:
    """Check each column for drift; a column with too many values to be one of categories fails."""
    night_count = checks.nights
    last_profiles = history[-night_count:]
    drift_findings: list[Finding] = []
    for name in checks.columns:
        counts = profile.get(name)
        if counts is None:
            finding = _too_many_values(checks, name)
            drift_findings.append(finding)
            continue
        row_count = sum(counts.values())
        if row_count < FEWEST_ROWS:
            continue
        past_counts = [past[name] for past in last_profiles if name in past]
        column_drift = drift(counts, past_counts)
        finding = _drift_finding(checks, name, column_drift)
        drift_findings.append(finding)
    return drift_findings


def _too_many_values(checks: Checks, column: str) -> Finding:
    return Finding(
        check="drift",
        level=checks.drift,
        passed=False,
        value=MOST_VALUES,
        limit=MOST_VALUES,
        column=column,
    )


def _drift_finding(checks: Checks, column: str, column_drift: float) -> Finding:
    return Finding(
        check="drift",
        level=checks.drift,
        passed=column_drift <= checks.most_drift,
        value=round(column_drift, 4),
        limit=checks.most_drift,
        column=column,
    )


def require_passed(findings: Sequence[Finding]) -> None:
    """Raise RunFailed if a red check has not passed."""
    failed_checks = [
        str(finding)
        for finding in findings
        if finding.level == RED and not finding.passed
    ]
    if failed_checks:
        raise RunFailed(
            f"{'; '.join(failed_checks)}. Nothing was published; answers that were bought are kept."
        )
