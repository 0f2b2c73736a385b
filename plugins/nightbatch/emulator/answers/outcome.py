"""What became of one request: the `result` of its line, and what it cost."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from nightbatch.emulator.answers.usage import AnswerUsage
from nightbatch.emulator.batches.batch import ERRORED
from nightbatch.emulator.errors import envelope


class Outcome(NamedTuple):
    """The end of one request. `usage` is None and `cost` 0 unless it is billed."""

    kind: int
    result: dict[str, Any]
    model: str = ""
    usage: AnswerUsage | None = None
    cost: float = 0.0


def errored(
    kind: str, message: str, details: Mapping[str, Any] | None = None
) -> Outcome:
    """Return an `errored` row: its error is nested twice."""
    error = envelope(kind, message, details)
    return Outcome(ERRORED, {"type": "errored", "error": error})
