"""The names of the columns that nightbatch itself writes, and the check that no other column has one of them."""

from __future__ import annotations

from collections.abc import Sequence

from nightbatch.errors import TargetError

REQUEST_ID = "_request_id"
REQUEST = "_request"
PROBLEM = "_problem"
ANSWER_TEXT = "answer"
"""The column of an answer that is one text."""
OUR_COLUMNS = (
    REQUEST_ID,
    "_status",
    "_error",
    "_model",
    "_stop_reason",
    "_batch_id",
    "_input_tokens",
    "_output_tokens",
    "_cost_usd",
    REQUEST,
    PROBLEM,
)


def check_names(answer_names: Sequence[str], kept: Sequence[str], name: str) -> None:
    """Refuse answer columns that would occur twice in the output, or that are ours. `name`: the parameter of both."""
    if shared_names := sorted(set(answer_names) & set(kept)):
        raise TargetError(
            f"{name}: {', '.join(shared_names)} is also a key or keep column; rename one of them."
        )
    for parameter, column_names in ((name, answer_names), ("key/keep", kept)):
        if our_names := sorted(set(column_names) & set(OUR_COLUMNS)):
            raise TargetError(
                f"{parameter}: columns {', '.join(our_names)} are written by nightbatch itself; rename them."
            )
