"""What answers cost: tokens and dollars by model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nightbatch.emulator.answers.models import find_model
from nightbatch.emulator.answers.usage import AnswerUsage
from nightbatch.emulator.wire import Json

_decoder = msgspec.json.Decoder(dict)


@dataclass(slots=True)
class Bill:
    """Tokens and dollars by model id."""

    usage: dict[str, AnswerUsage] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)

    def add(self, model: str, usage: AnswerUsage, cost: float) -> None:
        """Add one answer, or a sum of them."""
        if model not in self.usage:
            self.usage[model] = AnswerUsage()
            self.cost[model] = 0.0
        self.usage[model].add(usage)
        self.cost[model] += cost

    def merge(self, other: "Bill") -> None:
        """Add all of another bill."""
        for model, usage in other.usage.items():
            self.add(model, usage, other.cost[model])

    def total(self) -> float:
        """Return the dollars of all models together."""
        return round(sum(self.cost.values()), 9)

    def wire(self) -> dict[str, Json]:
        """Return the bill as JSON, model by model."""
        return {
            model: _bill_line(usage, self.cost[model])
            for model, usage in self.usage.items()
        }


def _bill_line(usage: AnswerUsage, cost: float) -> Json:
    return {
        "input_tokens": usage.input,
        "cache_write_5m_tokens": usage.written_5m,
        "cache_write_1h_tokens": usage.written_1h,
        "cache_read_tokens": usage.read,
        "output_tokens": usage.output,
        "cost_usd": round(cost, 9),
    }


def bill_of_lines(lines: Iterable[bytes]) -> Bill:
    """Return the bill of result lines: that of a batch which was stopped before its end."""
    bill = Bill()
    for line in lines:
        result = _decoder.decode(line)["result"]
        message = result.get("message")
        if message is None:
            continue
        model = find_model(message["model"])
        if model is None:
            continue
        wire_usage = message["usage"]
        usage = _read_usage(wire_usage)
        cost = model.cost(usage, wire_usage["inference_geo"])
        bill.add(model.id, usage, cost)
    return bill


def _read_usage(wire: Mapping[str, Any]) -> AnswerUsage:
    cache_creation = wire["cache_creation"]
    return AnswerUsage(
        input=wire["input_tokens"],
        written_5m=cache_creation["ephemeral_5m_input_tokens"],
        written_1h=cache_creation["ephemeral_1h_input_tokens"],
        read=wire["cache_read_input_tokens"],
        output=wire["output_tokens"],
    )
