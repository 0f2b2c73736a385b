"""What tokens cost: a dated table, exact in Decimal, in US dollars."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

_DATED = re.compile(r"-20\d{6}$")
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one request by class; `input` is what was neither read from nor written to the cache."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0
    service_tier: str = "batch"
    inference_geo: str | None = None

    @property
    def total_input(self) -> int:
        """All input tokens, cached or not."""
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


@dataclass(frozen=True)
class Prices:
    """A price table; see `prices.json` for its form."""

    table: Mapping[str, Any]

    def cost(self, model: str, usage: Usage) -> Decimal | None:
        """Price one request; None where the model's price is not known."""
        rates = self._rates(model, usage.total_input, usage.service_tier, usage.inference_geo or "")
        if rates is None:
            return None
        base, out, write_5m, write_1h, read = rates
        return (
            usage.input * base
            + usage.cache_write_5m * write_5m
            + usage.cache_write_1h * write_1h
            + usage.cache_read * read
            + usage.output * out
        )

    def cache_minimum(self, model: str) -> int:
        """Count the tokens that a shared prefix must have to be cached at all."""
        return int(self.table["cache_minimum_tokens"].get(_DATED.sub("", model), 4096))

    def knows(self, model: str) -> bool:
        """Tell whether the model has a price."""
        return _DATED.sub("", model) in self.table["models"]

    def _rates(self, model: str, prompt: int, tier: str, geo: str) -> tuple[Decimal, ...] | None:
        row = self.table["models"].get(_DATED.sub("", model))
        if row is None:
            return None
        above = row.get("above")
        return _rates(self._key, _DATED.sub("", model), bool(above) and prompt > above["prompt_tokens"], tier, geo)

    @property
    def _key(self) -> str:
        return json.dumps(self.table, sort_keys=True) if self.table is not _default_table() else ""


@cache
def _default_table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text())
    return table


@cache
def _rates(key: str, model: str, above: bool, tier: str, geo: str) -> tuple[Decimal, ...]:
    """Rates a token: input, output, cache write 5 m, write 1 h, read."""
    table = json.loads(key) if key else _default_table()
    row = table["models"][model]
    row = {**row, **row["above"]} if above else row
    scale = Decimal(table["batch"]) if tier == "batch" else Decimal(1)
    scale *= Decimal(table["us_inference"]) if geo == "us" else Decimal(1)
    base, out = (Decimal(row[name]) * scale / _MILLION for name in ("input", "output"))
    factors = (row.get(name, table[name]) for name in ("cache_write_5m", "cache_write_1h", "cache_read"))
    return (base, out, *(base * Decimal(factor) for factor in factors))


DEFAULT = Prices(_default_table())
