"""Faults: what goes wrong, where, and when. Seeded and counted, so that a test that saw one sees it again."""

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nightbatch.emulator.errors import invalid
from nightbatch.emulator.faults.kinds import KINDS, OPTIONS, WHERE

MATCHES = frozenset(
    {"batch", "custom_id", "model", "text", "min_requests", "max_requests"}
)
WHEN = frozenset({"probability", "count", "nth", "seed", "match"})

Facts = Mapping[str, Any]


@dataclass(slots=True)
class Fault:
    """One fault. With neither `probability`, `count` nor `nth` it strikes every time; with several, when all agree."""

    id: int
    where: str
    what: str
    options: dict[str, Any] = field(default_factory=dict)
    probability: float = 1.0
    count: int | None = None
    nth: frozenset[int] = frozenset()
    seed: int = 0
    match: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    hits: int = 0

    def strikes(self, facts: Facts) -> bool:
        """Tell whether it strikes this time, and count it. Chance depends on the seed and on who is struck."""
        if self.match and not _matches(self.match, facts):
            return False
        self.seen += 1
        if self.nth and self.seen not in self.nth:
            return False
        if self.count is not None and self.hits >= self.count:
            return False
        if self.probability < 1.0:
            seed = f"{self.seed}:{self.id}:{facts.get('chance', self.seen)}"
            chance = random.Random(seed).random()  # noqa: S311
            if chance >= self.probability:
                return False
        self.hits += 1
        return True

    def spec(self) -> dict[str, Any]:
        """Return what it was made of."""
        when = {
            "probability": self.probability,
            "count": self.count,
            "nth": sorted(self.nth),
            "seed": self.seed,
        }
        told = {
            name: value
            for name, value in when.items()
            if value not in (None, [], 1.0, 0)
        }
        matched = {"match": self.match} if self.match else {}
        return {
            "where": self.where,
            "what": self.what,
            **self.options,
            **told,
            **matched,
        }


class Faults:
    """The faults that are set, in the order in which they were."""

    def __init__(self) -> None:
        self.all: list[Fault] = []
        self._made = 0

    def add(self, specs: Iterable[Any]) -> list[Fault]:
        """Set faults; raise a 400 that says what is wrong with a spec, and set none."""
        made = [
            read_fault(spec, self._made + number)
            for number, spec in enumerate(specs, 1)
        ]
        self._made += len(made)
        self.all += made
        return made

    def strike(self, where: str, facts: Facts) -> list[Fault]:
        """Return those that strike this call, or this batch; `any` means calls."""
        meant = {where} if where == "batch" else {where, "any"}
        return [
            fault for fault in self.all if fault.where in meant and fault.strikes(facts)
        ]

    def of_rows(self) -> tuple[Fault, ...]:
        """Return those that may strike single requests of a batch that is created now."""
        return tuple(fault for fault in self.all if fault.where == "row")

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one, or all."""
        self.all = (
            []
            if fault_id is None
            else [fault for fault in self.all if fault.id != fault_id]
        )

    def report(self) -> list[dict[str, Any]]:
        """Return every fault with its id, how many it has seen and how many it has struck."""
        return [
            {"id": fault.id, **fault.spec(), "seen": fault.seen, "hits": fault.hits}
            for fault in self.all
        ]


def specs_of(given: Any) -> list[Any]:
    """Return the specs in what was given: one, a list, or a dictionary with a list of `faults`."""
    if isinstance(given, Mapping):
        return (
            list(given["faults"]) if isinstance(given.get("faults"), list) else [given]
        )
    return list(given) if isinstance(given, list) else [given]


def read_fault(spec: Any, fault_id: int) -> Fault:
    """Return the fault of a spec like `{"where":"create","what":"drop_after","nth":1}`; raise a 400 for a bad one."""
    if not isinstance(spec, Mapping):
        raise invalid("faults: Input should be a list of dictionaries")
    where, what = spec.get("where"), spec.get("what")
    if where not in WHERE:
        raise invalid(f"faults.where: {where!r} is none of {', '.join(sorted(WHERE))}")
    kinds = KINDS[WHERE[where]]
    if what not in kinds:
        raise invalid(f"faults.what: {what!r} is none of {', '.join(sorted(kinds))}")
    options = {
        name: value
        for name, value in spec.items()
        if name not in WHEN | {"where", "what"}
    }
    if unknown := set(options) - OPTIONS:
        raise invalid(f"faults.{min(unknown)}: Extra inputs are not permitted")
    return Fault(fault_id, where, what, options, **_when(spec))


def _when(spec: Mapping[str, Any]) -> dict[str, Any]:
    nth, match = spec.get("nth", []), dict(spec.get("match", {}))
    if unknown := set(match) - MATCHES:
        raise invalid(f"faults.match.{min(unknown)}: Extra inputs are not permitted")
    return {
        "nth": frozenset([nth] if isinstance(nth, int) else nth),
        "count": spec.get("count"),
        "probability": float(spec.get("probability", 1.0)),
        "seed": int(spec.get("seed", 0)),
        "match": match,
    }


def _matches(match: Mapping[str, Any], facts: Facts) -> bool:
    for name, wanted in match.items():
        if name in {"min_requests", "max_requests"}:
            count = facts.get("requests")
            if count is None or (
                count < wanted if name == "min_requests" else count > wanted
            ):
                return False
        elif name == "text":
            if str(wanted) not in str(facts.get("text", "")):
                return False
        elif not re.fullmatch(str(wanted), str(facts.get(name, ""))):
            return False
    return True
