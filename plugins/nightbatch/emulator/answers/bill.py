"""What answers cost: tokens and dollars by model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nightbatch.emulator.answers.models import find_model
from nightbatch.emulator.answers.usage import Usage

_decoder = msgspec.json.Decoder(dict)


@dataclass(slots=True)
class Bill:
    """Tokens and dollars by model id."""

    usage: dict[str, Usage] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)

    def add(self, model: str, usage: Usage, cost: float) -> None:
        """Add one answer, or a sum of them."""
        self.usage.setdefault(model, Usage()).add(usage)
        self.cost[model] = self.cost.get(model, 0.0) + cost

    def merge(self, other: "Bill") -> None:
        """Add all of another bill."""
        for model, usage in other.usage.items():
            self.add(model, usage, other.cost[model])

    def total(self) -> float:
        """Return the dollars of it all."""
        return round(sum(self.cost.values()), 9)

    def wire(self) -> dict[str, dict[str, Any]]:
        """Return the bill as JSON, model by model."""
        names = {
            "input": "input",
            "written_5m": "cache_write_5m",
            "written_1h": "cache_write_1h",
            "read": "cache_read",
        }
        names |= {"output": "output"}
        return {
            model: {
                f"{name}_tokens": getattr(usage, field) for field, name in names.items()
            }
            | {"cost_usd": round(self.cost[model], 9)}
            for model, usage in self.usage.items()
        }


def bill_of_lines(lines: Iterable[bytes]) -> Bill:
    """Return the bill of result lines: that of a batch which was stopped before its end."""
    bill = Bill()
    for line in lines:
        message = _decoder.decode(line)["result"].get("message")
        model = find_model(message["model"]) if message else None
        if model is not None:
            usage = _read_usage(message["usage"])
            bill.add(
                model.id, usage, model.cost(usage, message["usage"]["inference_geo"])
            )
    return bill


def _read_usage(wire: Mapping[str, Any]) -> Usage:
    written = wire["cache_creation"]
    return Usage(
        wire["input_tokens"],
        written["ephemeral_5m_input_tokens"],
        written["ephemeral_1h_input_tokens"],
        wire["cache_read_input_tokens"],
        wire["output_tokens"],
    )
