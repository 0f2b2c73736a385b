"""What tokens cost: a dated table, exact in Decimal, in US dollars. A model that it does not name has no price."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from nightbatch.environment import PRICES as VARIABLE
from nightbatch.environment import read
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


class Terms(NamedTuple):
    """What determines a price: the model, a long prompt, the batch tier, inference in the US."""

    model: str
    is_long: bool
    is_batch: bool
    is_us: bool

    @property
    def outside_batch(self) -> Terms:
        """The same terms at the standard price."""
        return self._replace(is_batch=False)


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
    _rates_by_terms: dict[Terms, Rates | None] = field(default_factory=dict, repr=False)

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
        is_long = self.is_long(model, prompt)
        terms = Terms(model, is_long, batch, us)
        if terms not in self._rates_by_terms:
            self._rates_by_terms[terms] = self._rates(terms)
        return self._rates_by_terms[terms]

    def is_long(self, model: str, prompt: int) -> bool:
        """Tell whether a prompt of this many tokens raises the model's prices, for all tokens of its request."""
        if prompt <= self._long_above:
            return False
        long_above = self.long_above(model)
        if not long_above:
            return False
        return prompt > long_above

    def long_above(self, model: str) -> int | None:
        """Return how many tokens a prompt may have before the model's prices rise; None where they never do."""
        row = self._row(model) or {}
        above = row.get("above")
        return int(above["prompt_tokens"]) if above else None

    def has_price(self, model: str) -> bool:
        """Tell whether the model has a price."""
        return undated(model) in self.table["models"]

    def cache_minimum(self, model: str) -> int:
        """Count the tokens that a shared prefix must have to be cached at all."""
        minimums = self.table["cache_minimum_tokens"]
        return int(minimums.get(undated(model), UNKNOWN_MINIMUM))

    def context_tokens(self, model: str) -> int:
        """Count the tokens of the model's context window: no request's input can have more."""
        contexts = self.table["context_tokens"]
        return int(contexts.get(undated(model), UNKNOWN_CONTEXT))

    def tool_price(self, tool: str) -> Decimal | None:
        """Look up the US dollars of one use of a server tool; None where its price is not known."""
        row = self.table["server_tools"].get(tool)
        return None if row is None else Decimal(row["usd_per_1000"]) / 1000

    def doubt(self, model: str) -> str | None:
        """Say why a model's price is less certain than the rest of the table; None where it is not."""
        row = self._row(model) or {}
        if "doubt" not in row:
            return None
        as_of = row.get("as_of", self.as_of)
        return f"{row['doubt']} ({as_of})"

    @cached_property
    def batch_factor(self) -> Decimal:
        """The price of a batch, as a share of the standard price."""
        return Decimal(self.table["batch"])

    def age_days(self, today: date) -> int:
        """Count the days since the table was taken."""
        return (today - date.fromisoformat(self.as_of)).days

    def age_warning(self, today: date) -> str | None:
        """Say that the table is too old to be trusted, if it is."""
        age = self.age_days(today)
        if age <= STALE_DAYS:
            return None
        return f"The prices are of {self.as_of}, {age} days ago: compare them with {self.source} (NIGHTBATCH_PRICES)."

    def merged_with(self, user_table: Mapping[str, Any]) -> Prices:
        """Merge a user's table into this one: its entries replace those of this table, model by model."""
        merged_parts = {}
        for name in _BY_NAME:
            user_part = user_table.get(name, {})
            if not isinstance(user_part, Mapping):
                raise SettingsError(f"prices: {name} must be an object.")
            merged_parts[name] = {**self.table[name], **user_part}
        return checked_prices({**self.table, **user_table, **merged_parts})

    @cached_property
    def _long_above(self) -> int:
        """The shortest prompt, of any model, above which prices may rise: a quick check for most prompts."""
        rows = self.table["models"].values()
        limits = [int(row["above"]["prompt_tokens"]) for row in rows if "above" in row]
        return min(limits, default=0)

    def _row(self, model: str) -> Mapping[str, Any] | None:
        row: Mapping[str, Any] | None = self.table["models"].get(undated(model))
        return row

    def _rates(self, terms: Terms) -> Rates | None:
        row = self._row(terms.model)
        if row is None:
            return None
        if terms.is_long:
            row = {**row, **row["above"]}
        scale = self._scale(terms)
        input_usd = Decimal(row["input"]) * scale
        output_usd = Decimal(row["output"]) * scale
        cache_usd = {}
        for name in _FACTORS:
            factor = row.get(name, self.table[name])
            cache_usd[name] = input_usd * Decimal(factor)
        return Rates(input=input_usd, output=output_usd, **cache_usd)

    def _scale(self, terms: Terms) -> Decimal:
        """Compute by what a price for a million tokens is multiplied to get that of one token under these terms."""
        batch_factor = self.batch_factor if terms.is_batch else 1
        us_factor = Decimal(self.table["us_inference"]) if terms.is_us else 1
        return batch_factor * us_factor / _MILLION


def undated(model: str) -> str:
    """Return a model's id without its date."""
    return _VARIANT.sub("", model)


def checked_prices(table: Mapping[str, Any]) -> Prices:
    """Make prices from a table. Raises SettingsError that names what cannot be read."""
    place = "as_of"
    try:
        as_of = str(table["as_of"])
        date.fromisoformat(as_of)
        place = "source"
        str(table["source"])
        for place in ("batch", "us_inference", *_FACTORS):
            _check_positive(table[place])
        for name, row in table["models"].items():
            place = f"models.{name}"
            _check_model(row)
        for place in ("cache_minimum_tokens", "context_tokens"):
            token_counts = table[place].values()
            _check_positive(*token_counts)
        for name, row in table["server_tools"].items():
            place = f"server_tools.{name}"
            _check_tool(name, row)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
        raise SettingsError(
            f"prices: {place} is missing or unreadable; numbers are texts such as '2.50'."
        ) from None
    return Prices(table)


def _check_model(row: Mapping[str, Any]) -> None:
    """Refuse a model with a price, above some length of a prompt or below, that is not a positive number."""
    _check_rates(row)
    if "above" not in row:
        return
    above = row["above"]
    _check_rates(above)
    prompt_tokens = above["prompt_tokens"]
    _check_positive(prompt_tokens)
    int(prompt_tokens)


def _check_rates(row: Mapping[str, Any]) -> None:
    factors = [row[name] for name in _FACTORS if name in row]
    _check_positive(row["input"], row["output"], *factors)


def _check_tool(tool: str, row: Mapping[str, Any]) -> None:
    """Refuse a tool that usage does not name, and a price without its source and date."""
    if tool not in SERVER_TOOLS[:2]:
        raise ValueError(tool)
    _check_positive(row["usd_per_1000"])
    date.fromisoformat(str(row["as_of"]))
    str(row["source"])


def _check_positive(*amounts: Any) -> None:
    for amount in amounts:
        is_positive = Decimal(str(amount)) > 0
        if not is_positive or isinstance(amount, float):
            raise ValueError(amount)


@cache
def our_prices() -> Prices:
    """Read the table that comes with the package."""
    return checked_prices(
        json.loads(Path(__file__).with_name("prices.json").read_text())
    )


def prices() -> Prices:
    """Return the prices in force. Raises SettingsError where the user's file cannot be read."""
    file_name = read(VARIABLE)
    if not file_name:
        return our_prices()
    path = Path(file_name)
    modified_ns = path.stat().st_mtime_ns if path.is_file() else 0
    return _from_file(path, modified_ns)


@cache
def _from_file(path: Path, _modified_ns: int) -> Prices:
    """Read the user's table; again once the file was modified."""
    try:
        text = path.read_text(encoding="utf-8")
        user_table = json.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{VARIABLE}: {path} cannot be read: {error}") from None
    if not isinstance(user_table, dict):
        raise SettingsError(
            f"{VARIABLE}: {path} must hold an object, in the form of nightbatch/money/prices.json."
        )
    return our_prices().merged_with(user_table)
