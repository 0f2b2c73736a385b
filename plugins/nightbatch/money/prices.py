"""What tokens cost: a dated table, exact in Decimal, in US dollars. A model that it does not name has no price."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from nightbatch.errors import SettingsError

PICO = Decimal("0.000000000001")
"""Costs are kept to 10^-12 US dollars; no token price of today needs more."""
STALE_DAYS = 90
UNKNOWN_MINIMUM = 4096

_VARIANT = re.compile(r"(-20\d{6}|-latest)$")
_MILLION = Decimal(1_000_000)
_BY_NAME = ("models", "server_tools", "cache_minimum_tokens", "context_tokens")
_FACTORS = ("cache_write_5m", "cache_write_1h", "cache_read")

SERVER_TOOLS = ("web_search", "web_fetch", "other")
"""What the API bills by use, besides tokens. `other`: a tool that came later than this list; it never has a price."""
UNKNOWN_CONTEXT = 1_000_000
"""Tokens of the largest context window of any model (platform.claude.com, "Context windows", November 2026)."""


class Rates(NamedTuple):
    """US dollars a token, by class, in the order of a `Usage`."""

    input: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal
    output: Decimal


@dataclass(frozen=True, eq=False)
class Prices:
    """A price table; see `prices.json` for its form."""

    table: Mapping[str, Any]
    _known: dict[tuple[str, bool, bool, bool], Rates | None] = field(
        default_factory=dict, repr=False
    )

    @property
    def as_of(self) -> str:
        """The day on which the table was taken, as a date."""
        return str(self.table["as_of"])

    @property
    def source(self) -> str:
        """Where the table was taken from."""
        return str(self.table["source"])

    def rates(
        self, model: str, *, prompt: int = 0, batch: bool = True, us: bool = False
    ) -> Rates | None:
        """Look up what each class of token costs in a request whose whole prompt has this many tokens."""
        key = (model, self.is_long(model, prompt), batch, us)
        if key not in self._known:
            self._known[key] = self._rates(*key)
        return self._known[key]

    def is_long(self, model: str, prompt: int) -> bool:
        """Tell whether a prompt of this many tokens lifts the model's prices, for all tokens of its request."""
        return prompt > self._long_above and prompt > (self.long_above(model) or prompt)

    def long_above(self, model: str) -> int | None:
        """Return how many tokens a prompt may have before the model's prices rise; None where they never do."""
        above = (self.table["models"].get(plain(model)) or {}).get("above")
        return int(above["prompt_tokens"]) if above else None

    def knows(self, model: str) -> bool:
        """Tell whether the model has a price."""
        return plain(model) in self.table["models"]

    def cache_minimum(self, model: str) -> int:
        """Count the tokens that a shared prefix must have to be cached at all."""
        return int(
            self.table["cache_minimum_tokens"].get(plain(model), UNKNOWN_MINIMUM)
        )

    def context_tokens(self, model: str) -> int:
        """Count the tokens of the model's context window: no request's input can have more."""
        return int(self.table["context_tokens"].get(plain(model), UNKNOWN_CONTEXT))

    def tool_price(self, tool: str) -> Decimal | None:
        """Look up the US dollars of one use of a server tool; None where its price is not known."""
        row = self.table["server_tools"].get(tool)
        return None if row is None else Decimal(row["usd_per_1000"]) / 1000

    def doubt(self, model: str) -> str | None:
        """Say why a model's price is less sure than the rest of the table; None where it is not."""
        row = self.table["models"].get(plain(model)) or {}
        return (
            f"{row['doubt']} ({row.get('as_of', self.as_of)})"
            if "doubt" in row
            else None
        )

    @cached_property
    def batch_factor(self) -> Decimal:
        """What a batch costs, as a share of the standard price."""
        return Decimal(self.table["batch"])

    def age_days(self, today: date) -> int:
        """Count the days since the table was taken."""
        return (today - date.fromisoformat(self.as_of)).days

    def stale(self, today: date) -> str | None:
        """Say that the table is too old to be trusted, if it is."""
        age = self.age_days(today)
        if age <= STALE_DAYS:
            return None
        return f"The prices are of {self.as_of}, {age} days ago: compare them with {self.source} (NIGHTBATCH_PRICES)."

    def over(self, given: Mapping[str, Any]) -> Prices:
        """Lay a user's table over this one: what it names replaces what is here, model by model."""
        for name in _BY_NAME:
            if not isinstance(given.get(name, {}), Mapping):
                raise SettingsError(f"prices: {name} must be an object.")
        merged = {
            name: {**self.table[name], **given.get(name, {})} for name in _BY_NAME
        }
        return checked({**self.table, **given, **merged})

    @cached_property
    def _long_above(self) -> int:
        """The shortest prompt, of any model, for which prices may rise: most prompts need no further look."""
        return min(
            (
                row["above"]["prompt_tokens"]
                for row in self.table["models"].values()
                if "above" in row
            ),
            default=0,
        )

    def _rates(self, model: str, long: bool, batch: bool, us: bool) -> Rates | None:
        row = self.table["models"].get(plain(model))
        if row is None:
            return None
        row = {**row, **row["above"]} if long else row
        scale = (
            (self.batch_factor if batch else 1)
            * (Decimal(self.table["us_inference"]) if us else 1)
            / _MILLION
        )
        base, out = Decimal(row["input"]) * scale, Decimal(row["output"]) * scale
        write_5m, write_1h, read = (
            base * Decimal(row.get(name, self.table[name])) for name in _FACTORS
        )
        return Rates(base, write_5m, write_1h, read, out)


def plain(model: str) -> str:
    """Return a model's id without its date."""
    return _VARIANT.sub("", model)


def checked(table: Mapping[str, Any]) -> Prices:
    """Make prices of a table, or raise SettingsError that names what cannot be read."""
    place = "as_of"
    try:
        date.fromisoformat(str(table["as_of"]))
        for place in ("source", "batch", "us_inference", *_FACTORS):
            _positive(table[place]) if place != "source" else str(table[place])
        for name, row in table["models"].items():
            place = f"models.{name}"
            for one in (row, *([row["above"]] if "above" in row else [])):
                _positive(
                    one["input"],
                    one["output"],
                    *(one[factor] for factor in _FACTORS if factor in one),
                )
            int(row.get("above", {"prompt_tokens": 0})["prompt_tokens"])
        for place in ("cache_minimum_tokens", "context_tokens"):
            _positive(*table[place].values())
        for name, row in table["server_tools"].items():
            place = f"server_tools.{name}"
            _tool(name, row)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
        raise SettingsError(
            f"prices: {place} is missing or unreadable; numbers are texts such as '2.50'."
        ) from None
    return Prices(table)


def _tool(name: str, row: Mapping[str, Any]) -> None:
    """Refuse a tool that usage does not name, and a price that does not say whence and from when it is."""
    if name not in SERVER_TOOLS[:2]:
        raise ValueError(name)
    _positive(row["usd_per_1000"])
    date.fromisoformat(str(row["as_of"]))
    str(row["source"])


def _positive(*amounts: Any) -> None:
    for amount in amounts:
        if not Decimal(str(amount)) > 0 or isinstance(amount, float):
            raise ValueError(amount)


DEFAULT = checked(json.loads(Path(__file__).with_name("prices.json").read_text()))


VARIABLE = "NIGHTBATCH_PRICES"


def prices() -> Prices:
    """Return the prices in force. Raises SettingsError where the user's file cannot be read."""
    name = os.environ.get(VARIABLE)
    return (
        _over(Path(name), Path(name).stat().st_mtime_ns if Path(name).is_file() else 0)
        if name
        else DEFAULT
    )


@cache
def _over(path: Path, _: int) -> Prices:
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{VARIABLE}: {path} cannot be read: {error}") from None
    if not isinstance(given, dict):
        raise SettingsError(
            f"{VARIABLE}: {path} must hold an object, in the form of nightbatch/money/prices.json."
        )
    return DEFAULT.over(given)
