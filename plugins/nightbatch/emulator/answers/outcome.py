"""What became of one request: the `result` of its line as JSON, and what it cost."""

from typing import NamedTuple

import msgspec

from nightbatch.emulator.answers.usage import AnswerUsage
from nightbatch.emulator.batches.batch import ERRORED, BatchAnswers
from nightbatch.emulator.errors import Details, envelope


class Outcome(NamedTuple):
    """The end of one request. `usage` is None and `cost` 0 unless it is billed."""

    kind: int
    result_json: bytes
    model: str = ""
    usage: AnswerUsage | None = None
    cost: float = 0.0


def errored(kind: str, message: str, details: Details | None = None) -> Outcome:
    """Return an `errored` row: its error is nested twice."""
    error = envelope(kind, message, details)
    return Outcome(ERRORED, msgspec.json.encode({"type": "errored", "error": error}))


def add_outcome(
    answers: BatchAnswers, custom_id: str, content: int, outcome: Outcome
) -> bytes:
    """Add a request's outcome and the hash of its content to its batch's answers; return its line."""
    answers.kinds.append(outcome.kind)
    answers.contents.append(content)
    if outcome.usage is not None:
        answers.bill.add(outcome.model, outcome.usage, outcome.cost)
    line_values = (custom_id.encode(), outcome.result_json)
    return b'{"custom_id":"%b","result":%b}\n' % line_values
