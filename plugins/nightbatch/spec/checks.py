"""Which checks are made on what is about to be published, and whether each stops it (red) or is only told (warn)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightbatch.errors import SettingsError

RED, WARN, OFF = "red", "warn", "off"
LEVELS = (RED, WARN, OFF)
NAMES = ("rows", "unique", "answered", "drift")


@dataclass(frozen=True)
class Checks:
    """Which checks are made, how strictly, and at which level each."""

    rows: str = RED
    unique: str = RED
    answered: str = OFF
    least_answered: float = 0.0
    drift: str = OFF
    columns: tuple[str, ...] = ()
    most_drift: float = 0.2
    nights: int = 7

    @classmethod
    def read(cls, given: Mapping[str, Any] | None) -> Checks:
        """Read the parameter `checks`.

        `{"unique": "warn", "answered": {"least": 0.99, "level": "warn"}, "drift": {"columns": ["category"],
        "most": 0.2, "nights": 7, "level": "red"}}`; a level is `red`, `warn` or `off`.
        """
        parts = dict(given or {})
        if unknown := sorted(parts.keys() - set(NAMES)):
            raise SettingsError(
                f"checks: unknown {', '.join(unknown)}. Known: {', '.join(NAMES)}."
            )
        answered, drift = (_part(parts, name) for name in ("answered", "drift"))
        made = cls(
            rows=_level("rows", parts.get("rows", RED)),
            unique=_level("unique", parts.get("unique", RED)),
            answered=_level(
                "answered", answered.get("level", RED if answered else OFF)
            ),
            least_answered=_number("answered.least", answered.get("least", 0.0), 0, 1),
            drift=_level("drift", drift.get("level", WARN if drift else OFF)),
            columns=_names(drift.get("columns")),
            most_drift=_number("drift.most", drift.get("most", 0.2), 0, 1),
            nights=int(_number("drift.nights", drift.get("nights", 7), 1, 366)),
        )
        if made.drift != OFF and not made.columns:
            raise SettingsError("checks: drift needs columns, a list of names.")
        return made


def _part(parts: Mapping[str, Any], name: str) -> dict[str, Any]:
    part, known = (
        parts.get(name) or {},
        {"answered": {"least"}, "drift": {"columns", "most", "nights"}}[name],
    )
    if not isinstance(part, Mapping) or part.keys() - known - {"level"}:
        raise SettingsError(
            f"checks: {name} must be an object with {', '.join(sorted(known | {'level'}))}."
        )
    return dict(part)


def _names(given: Any) -> tuple[str, ...]:
    names = [] if given is None else given
    if not isinstance(names, (list, tuple)) or not all(
        isinstance(name, str) for name in names
    ):
        raise SettingsError("checks: drift needs columns, a list of names.")
    return tuple(names)


def _level(name: str, given: Any) -> str:
    if given not in LEVELS:
        raise SettingsError(f"checks: {name} must be one of {', '.join(LEVELS)}.")
    return str(given)


def _number(name: str, given: Any, low: float, high: float) -> float:
    if (
        isinstance(given, bool)
        or not isinstance(given, (int, float))
        or not low <= given <= high
    ):
        raise SettingsError(
            f"checks: {name} must be a number from {low:g} to {high:g}."
        )
    return float(given)
