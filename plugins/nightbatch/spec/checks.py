"""Which checks are made before publishing, and whether a failed one stops it (red) or is only reported (warn)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightbatch.errors import SettingsError
from nightbatch.wording import known_instead, quoted

RED = "red"
WARN = "warn"
OFF = "off"
LEVELS = (RED, WARN, OFF)
NAMES = ("rows", "unique", "answered", "drift")
Settings = Mapping[str, Any]
"""What is set of the checks or of one of them, by name."""
_SETTINGS = {
    "answered": frozenset({"least", "level"}),
    "drift": frozenset({"columns", "most", "nights", "level"}),
}
"""What may be set of those checks that have more than a level."""


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
    def read(cls, parameter: Settings | None) -> Checks:
        """Read the parameter `checks`.

        `{"unique": "warn", "answered": {"least": 0.99, "level": "warn"}, "drift": {"columns": ["category"],
        "most": 0.2, "nights": 7, "level": "red"}}`; a level is `red`, `warn` or `off`.
        """
        settings = dict(parameter or {})
        unknown_names = sorted(settings.keys() - set(NAMES))
        if unknown_names:
            instead = known_instead(unknown_names[0], NAMES)
            raise SettingsError(f"checks: unknown {quoted(unknown_names)}.{instead}")
        answered = _part(settings, "answered")
        drift = _part(settings, "drift")
        answered_default = RED if answered else OFF
        drift_default = WARN if drift else OFF
        checks = cls(
            rows=_level("rows", settings.get("rows", RED)),
            unique=_level("unique", settings.get("unique", RED)),
            answered=_level("answered", answered.get("level", answered_default)),
            least_answered=_number("answered.least", answered.get("least", 0.0), 0, 1),
            drift=_level("drift", drift.get("level", drift_default)),
            columns=_names(drift.get("columns")),
            most_drift=_number("drift.most", drift.get("most", 0.2), 0, 1),
            nights=int(_number("drift.nights", drift.get("nights", 7), 1, 366)),
        )
        if checks.drift != OFF and not checks.columns:
            raise SettingsError("checks: drift needs columns, a list of names.")
        return checks


def _part(settings: Settings, name: str) -> Settings:
    """Read the settings of one check that has several."""
    part = settings.get(name) or {}
    allowed_names = _SETTINGS[name]
    if not isinstance(part, Mapping) or part.keys() - allowed_names:
        raise SettingsError(
            f"checks: {name} must be an object with {', '.join(sorted(allowed_names))}."
        )
    return part


def _names(columns: Any) -> tuple[str, ...]:
    """Read a list of columns; None is an empty one."""
    if columns is None:
        return ()
    is_list = isinstance(columns, (list, tuple))
    if not is_list or not all(map(_is_text, columns)):
        raise SettingsError("checks: drift needs columns, a list of names.")
    return tuple(columns)


def _is_text(name: Any) -> bool:
    return isinstance(name, str)


def _level(name: str, level: Any) -> str:
    if level not in LEVELS:
        raise SettingsError(
            f"checks: {name}: {level!r} must be one of {', '.join(LEVELS)}."
        )
    return str(level)


def _number(name: str, value: Any, low: float, high: float) -> float:
    if not is_within(value, low, high):
        raise SettingsError(
            f"checks: {name}: {value!r} must be a number from {low:g} to {high:g}."
        )
    return float(value)


def is_within(value: Any, low: float, high: float) -> bool:
    """Tell whether a value is a number between two bounds, both included; True and False are no numbers."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and low <= value <= high
