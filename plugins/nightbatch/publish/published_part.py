"""One part of a run's rows with the answers to its requests, and the sums over the parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nightbatch.publish.winners import PartAnswers


@dataclass
class PublishedSums:
    """The sums over the parts; money in 10^-12 USD, None once something in it has no price."""

    requests: int = 0
    bought: int = 0
    reused: int = 0
    row_cost: int = 0
    """What the rows carry in `_cost_usd`; a request with an attempt of unknown price carries nothing that is known."""
    reuse: int | None = 0
    duplicates: int | None = 0

    def add(
        self, part: PublishedPart, is_used: np.ndarray, row_counts: np.ndarray
    ) -> None:
        """Add a part. `is_used`: requests that earlier rows have; `row_counts`: rows of this part by request."""
        answers = part.answers
        is_new = part.is_first
        has_answer = answers.places >= 0
        is_newly_bought = part.is_bought & is_new
        is_reused = ~part.is_bought & has_answer & is_new
        self.requests += int(is_new.sum())
        self.bought += int(is_newly_bought.sum())
        row_costs = np.where(answers.unpriced, 0, answers.paid)
        self.row_cost += int(row_costs.sum())
        self.reused += int(is_reused.sum())
        reuse_counts = is_reused.astype(np.int64)
        self.reuse = _with_cost(self.reuse, answers, reuse_counts)
        other_rows = np.maximum(row_counts - 1, 0)
        duplicate_counts = np.where(is_used, row_counts, other_rows)
        self.duplicates = _with_cost(self.duplicates, answers, duplicate_counts)


@dataclass(frozen=True)
class PublishedPart:
    """One part of a run's rows: the answers to its requests, and which of these the run has bought.

    first_numbers: the number of each request, or of the request in an earlier part that it repeats.
    is_first: which requests no earlier part has.
    """

    number: int
    first_numbers: np.ndarray
    answers: PartAnswers
    is_bought: np.ndarray
    is_first: np.ndarray


def _with_cost(
    total: int | None, answers: PartAnswers, row_counts: np.ndarray
) -> int | None:
    """Add the cost of requests, each for N rows, to a total; None once a cost is unknown."""
    if total is None:
        return None
    has_rows = row_counts > 0
    is_unknown = answers.unknown[has_rows]
    if is_unknown.any():
        return None
    row_costs = answers.cost * row_counts
    return total + int(row_costs.sum())
