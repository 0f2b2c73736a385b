"""Faults: what goes wrong, where, and when. Seeded and counted, so that a test sees the same faults every time."""

import random
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nightbatch.emulator.errors import invalid
from nightbatch.emulator.faults.kinds import KINDS, OPTIONS, WHERE
from nightbatch.emulator.wire import Json

MATCHES = frozenset(
    {"batch", "custom_id", "model", "text", "min_requests", "max_requests"}
)
_NO_CONDITION: tuple[Any, ...] = (None, [], {}, 1.0, 0)
WHEN = frozenset({"probability", "count", "nth", "seed", "match"})
_COMMON_KEYS = WHEN | {"where", "what"}

Facts = Mapping[str, Any]


@dataclass(slots=True)
class Fault:
    """One fault. Without `probability`, `count` and `nth` it always strikes; with several, when all of them hold."""

    id: int
    where: str
    what: str
    options: Json = field(default_factory=dict)
    probability: float = 1.0
    count: int | None = None
    nth: frozenset[int] = frozenset()
    seed: int = 0
    match: Json = field(default_factory=dict)
    seen: int = 0
    hits: int = 0

    def strikes(self, facts: Facts) -> bool:
        """Tell whether it strikes this time, and count it. Chance depends on the seed and on the call or request."""
        if self.match and not _matches(self.match, facts):
            return False
        self.seen += 1
        if self.nth and self.seen not in self.nth:
            return False
        if self.count is not None and self.hits >= self.count:
            return False
        if self.probability < 1.0 and self._chance(facts) >= self.probability:
            return False
        self.hits += 1
        return True

    def _chance(self, facts: Facts) -> float:
        chance_key = facts.get("chance", self.seen)
        chance_seed = f"{self.seed}:{self.id}:{chance_key}"
        return random.Random(chance_seed).random()  # noqa: S311

    def spec(self) -> Json:
        """Return the spec that the fault was read from, without default values."""
        all_conditions = {
            "probability": self.probability,
            "count": self.count,
            "nth": sorted(self.nth),
            "seed": self.seed,
            "match": self.match,
        }
        conditions = {
            name: value
            for name, value in all_conditions.items()
            if value not in _NO_CONDITION
        }
        return {"where": self.where, "what": self.what, **self.options, **conditions}


Struck = tuple[Fault, ...]
"""The faults that strike one call."""


class Faults:
    """The faults that are set, oldest first."""

    def __init__(self) -> None:
        self.all: list[Fault] = []
        self._last_id = 0

    def add(self, specs: Iterable[Any]) -> list[Fault]:
        """Set faults; raise a 400 that says what is wrong with a spec, and set none."""
        new_faults = []
        fault_id = self._last_id
        for spec in specs:
            fault_id += 1
            new_fault = read_fault(spec, fault_id)
            new_faults.append(new_fault)
        self._last_id = fault_id
        self.all += new_faults
        return new_faults

    def strike(self, where: str, facts: Facts) -> list[Fault]:
        """Return those that strike this call, or this batch; `any` means every call, but not batches."""
        matching_places = {where} if where == "batch" else {where, "any"}
        candidates = [fault for fault in self.all if fault.where in matching_places]
        return [fault for fault in candidates if fault.strikes(facts)]

    def of_rows(self) -> tuple[Fault, ...]:
        """Return those that may strike single requests of a new batch."""
        return tuple(fault for fault in self.all if fault.where == "row")

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one, or all."""
        if fault_id is None:
            self.all = []
        else:
            self.all = [fault for fault in self.all if fault.id != fault_id]

    def report(self) -> list[Json]:
        """Return every fault with its id, how many calls or requests it has seen and how many it has struck."""
        return [
            {"id": fault.id, **fault.spec(), "seen": fault.seen, "hits": fault.hits}
            for fault in self.all
        ]


def specs_of(value: Any) -> list[Any]:
    """Return the specs in a JSON value: one spec, a list, or a dictionary with a list of `faults`."""
    specs = value.get("faults") if isinstance(value, Mapping) else value
    if isinstance(specs, list):
        return list(specs)
    return [value]


def read_fault(spec: Any, fault_id: int) -> Fault:
    """Return the fault of a spec like `{"where":"create","what":"drop_after","nth":1}`; raise a 400 for a bad one."""
    if not isinstance(spec, Mapping):
        raise invalid("faults: Input should be a list of dictionaries")
    where: Any = spec.get("where")
    what: Any = spec.get("what")
    _check_choice("faults.where", where, WHERE)
    allowed_kinds = KINDS[WHERE[where]]
    _check_choice("faults.what", what, allowed_kinds)
    options = _options(spec)
    conditions = _when(spec)
    return Fault(fault_id, where, what, options, **conditions)


def _options(spec: Mapping[str, Any]) -> Json:
    """Return how a spec's fault differs from others of its kind; raise the 400 of an unknown key."""
    options = {name: value for name, value in spec.items() if name not in _COMMON_KEYS}
    unknown_options = set(options) - OPTIONS
    if unknown_options:
        raise invalid(f"faults.{min(unknown_options)}: Extra inputs are not permitted")
    return options


def _check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    if value not in choices:
        sorted_choices = ", ".join(sorted(choices))
        raise invalid(f"{name}: {value!r} is none of {sorted_choices}")


def _when(spec: Mapping[str, Any]) -> Json:
    nth = spec.get("nth", [])
    numbers = [nth] if isinstance(nth, int) else nth
    match = dict(spec.get("match", {}))
    unknown_names = set(match) - MATCHES
    if unknown_names:
        raise invalid(
            f"faults.match.{min(unknown_names)}: Extra inputs are not permitted"
        )
    return {
        "nth": frozenset(numbers),
        "count": spec.get("count"),
        "probability": float(spec.get("probability", 1.0)),
        "seed": int(spec.get("seed", 0)),
        "match": match,
    }


def _matches(match: Mapping[str, Any], facts: Facts) -> bool:
    return all(_holds(name, expected, facts) for name, expected in match.items())


def _holds(name: str, expected: Any, facts: Facts) -> bool:
    """Tell whether one condition of a match holds; a regular expression must match the whole fact."""
    if name in {"min_requests", "max_requests"}:
        return _holds_for_count(name, expected, facts.get("requests"))
    fact = str(facts.get(name, ""))
    if name == "text":
        return str(expected) in fact
    return re.fullmatch(str(expected), fact) is not None


def _holds_for_count(name: str, expected: Any, request_count: Any) -> bool:
    """Tell whether a condition of the number of requests holds; for a call that has none, it does not."""
    if request_count is None:
        return False
    if name == "min_requests":
        return bool(request_count >= expected)
    return bool(request_count <= expected)
