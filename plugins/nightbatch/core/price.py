"""What tokens cost: a dated table, exact in Decimal, in US dollars. A model that it does not name has no price."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from nightbatch.core.errors import SettingsError

PICO = Decimal("0.000000000001")
"""Costs are kept to 10^-12 US dollars; no token price of today needs more."""
STALE_DAYS = 90
BATCH = "batch"
UNKNOWN_MINIMUM = 4096

_VARIANT = re.compile(r"(-20\d{6}|-latest)$")
_MILLION = Decimal(1_000_000)
_FACTORS = ("cache_write_5m", "cache_write_1h", "cache_read")


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one request by class; `input` is what was neither read from nor written to the cache."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0
    service_tier: str = BATCH
    inference_geo: str | None = None

    @property
    def classes(self) -> tuple[int, int, int, int, int]:
        """The tokens by class, in the order of `Rates`."""
        return self.input, self.cache_write_5m, self.cache_write_1h, self.cache_read, self.output

    @property
    def total_input(self) -> int:
        """All input tokens, cached or not."""
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


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
    _known: dict[tuple[str, bool, bool, bool], Rates | None] = field(default_factory=dict, repr=False)

    @property
    def as_of(self) -> str:
        """The day on which the table was taken, as a date."""
        return str(self.table["as_of"])

    @property
    def source(self) -> str:
        """Where the table was taken from."""
        return str(self.table["source"])

    def cost(self, model: str, usage: Usage) -> Decimal | None:
        """Price one request; None where the model's price is not known. Only the tier `batch` has the batch price."""
        rates = self.rates(
            model, prompt=usage.total_input, batch=usage.service_tier == BATCH, us=usage.inference_geo == "us"
        )
        if rates is None:
            return None
        total = usage.input * rates.input + usage.output * rates.output
        if usage.cache_read or usage.cache_write_1h or usage.cache_write_5m:
            written = usage.cache_write_5m * rates.cache_write_5m + usage.cache_write_1h * rates.cache_write_1h
            total += usage.cache_read * rates.cache_read + written
        return total if self._exact else total.quantize(PICO)

    def rates(self, model: str, *, prompt: int = 0, batch: bool = True, us: bool = False) -> Rates | None:
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
        return int(self.table["cache_minimum_tokens"].get(plain(model), UNKNOWN_MINIMUM))

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
        models = {**self.table["models"], **given.get("models", {})}
        minima = {**self.table["cache_minimum_tokens"], **given.get("cache_minimum_tokens", {})}
        return checked({**self.table, **given, "models": models, "cache_minimum_tokens": minima})

    @cached_property
    def _long_above(self) -> int:
        """The shortest prompt, of any model, for which prices may rise: most prompts need no further look."""
        return min(
            (row["above"]["prompt_tokens"] for row in self.table["models"].values() if "above" in row), default=0
        )

    @cached_property
    def _exact(self) -> bool:
        """Whether no token price has more than twelve decimals: sums of whole tokens then have none either."""
        every = (self.rates(model, prompt=prompt, us=True) for model in self.table["models"] for prompt in (0, 10**9))
        return all(round(rate, 12) == rate for rates in every if rates for rate in rates)

    def _rates(self, model: str, long: bool, batch: bool, us: bool) -> Rates | None:
        row = self.table["models"].get(plain(model))
        if row is None:
            return None
        row = {**row, **row["above"]} if long else row
        scale = (self.batch_factor if batch else 1) * (Decimal(self.table["us_inference"]) if us else 1) / _MILLION
        base, out = Decimal(row["input"]) * scale, Decimal(row["output"]) * scale
        write_5m, write_1h, read = (base * Decimal(row.get(name, self.table[name])) for name in _FACTORS)
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
                _positive(one["input"], one["output"], *(one[factor] for factor in _FACTORS if factor in one))
            int(row.get("above", {"prompt_tokens": 0})["prompt_tokens"])
        place = "cache_minimum_tokens"
        for count in table[place].values():
            _positive(count)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
        raise SettingsError(f"prices: {place} is missing or unreadable; numbers are texts such as '2.50'.") from None
    return Prices(table)


def _positive(*amounts: Any) -> None:
    for amount in amounts:
        if not Decimal(str(amount)) > 0 or isinstance(amount, float):
            raise ValueError(amount)


DEFAULT = checked(json.loads(Path(__file__).with_name("prices.json").read_text()))
