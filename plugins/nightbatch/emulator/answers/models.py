"""The models the emulator knows, as of November 2026: what they take, what they cache, what they cost."""

from dataclasses import dataclass
from typing import NamedTuple

from nightbatch.emulator.answers.usage import AnswerUsage


class Price(NamedTuple):
    """Dollars per million tokens at the standard rate, and what a cache read costs as a share of the input's price."""

    input: float
    output: float
    read: float = 0.1


@dataclass(frozen=True)
class Model:
    """One model. `max_output`, `context` and `cacheable` are tokens; what is shorter than `cacheable` is never cached.

    `steers_itself`: thinking cannot be switched off and no tool can be forced. `samples`: temperature is taken.
    """

    id: str
    price: Price
    max_output: int = 128_000
    context: int = 1_000_000
    cacheable: int = 1_024
    steers_itself: bool = False
    samples: bool = False
    long_price: Price | None = None

    def cost(self, usage: AnswerUsage, geo: str) -> float:
        """Return what one request costs in a batch, in dollars: half of everything, a tenth more in the US."""
        price = self._price(usage)
        five_minute_writes = 1.25 * usage.written_5m
        one_hour_writes = 2 * usage.written_1h
        reads = price.read * usage.read
        input_tokens = usage.input + five_minute_writes + one_hour_writes + reads
        input_cost = price.input * input_tokens
        output_cost = price.output * usage.output
        batch_cost = (input_cost + output_cost) / 2_000_000
        geo_factor = 1.1 if geo == "us" else 1.0
        return batch_cost * geo_factor

    def _price(self, usage: AnswerUsage) -> Price:
        if self.long_price and usage.prompt() > 100_000:
            return self.long_price
        return self.price


_OPUS = Price(5, 25)
_FABLE = Price(10, 50, 0.025)

MODELS = {
    model.id: model
    for model in (
        Model("claude-opus-5-5", Price(4, 20, 0.05), cacheable=512, steers_itself=True),
        Model("claude-opus-5", _OPUS, cacheable=512),
        Model("claude-opus-4-8", _OPUS),
        Model("claude-opus-4-7", _OPUS, cacheable=2_048),
        Model("claude-opus-4-6", _OPUS, cacheable=4_096, samples=True),
        Model(
            "claude-opus-4-5",
            _OPUS,
            max_output=64_000,
            context=200_000,
            cacheable=4_096,
            samples=True,
        ),
        Model(
            "claude-sonnet-5-5", Price(2, 10, 0.05), cacheable=512, steers_itself=True
        ),
        Model("claude-sonnet-5", Price(2, 10)),
        Model("claude-sonnet-4-6", Price(3, 15), samples=True),
        Model(
            "claude-sonnet-4-5",
            Price(3, 15),
            max_output=64_000,
            context=200_000,
            samples=True,
        ),
        Model(
            "claude-haiku-5-5",
            Price(0.1, 0.5, 0.1),
            cacheable=512,
            steers_itself=True,
            long_price=Price(0.5, 2.5, 0.1),
        ),
        Model(
            "claude-haiku-4-5",
            Price(1, 5),
            max_output=64_000,
            context=200_000,
            cacheable=4_096,
            samples=True,
        ),
        Model("claude-fable-5", _FABLE, cacheable=512),
        Model("claude-fable-5-1", _FABLE, cacheable=512, steers_itself=True),
        Model("claude-fable-5-2", _FABLE, cacheable=512, steers_itself=True),
        Model("claude-mythos-5", _FABLE, cacheable=512),
        Model("claude-mythos-5-1", _FABLE, cacheable=512, steers_itself=True),
        Model("claude-mythos-5-2", _FABLE, cacheable=512, steers_itself=True),
    )
}

DATED = {
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}
_BY_NAME = MODELS | {dated: MODELS[short] for short, dated in DATED.items()}


def find_model(name: object) -> Model | None:
    """Return the model of a plain or dated id; None when no model has that name."""
    return _BY_NAME.get(name) if isinstance(name, str) else None


def dated_id(model: Model) -> str:
    """Return the id that an answer names: the dated one where the model has one."""
    return DATED.get(model.id, model.id)
