"""How many lanes an earlier try of a plan was mapped to, by what Airflow tells of the run's task instances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nightbatch.hooks.mapped import mapped

SUBMIT = "attempt_1.shard.submit"


@dataclass
class Try:
    """A try of a plan, and the states of the run's other tasks."""

    try_number: int
    states: dict[str, str | None] = field(default_factory=dict)
    dag_id: str = "triage"
    run_id: str = "a night"

    def get_task_states(self, *, dag_id: str, run_ids: list[str], task_ids: list[str]) -> dict[str, Any]:
        assert (dag_id, run_ids, task_ids) == (self.dag_id, [self.run_id], [SUBMIT])
        return {self.run_id: self.states} if self.states else {}


def test_the_first_try_finds_no_lanes_and_does_not_ask() -> None:
    assert mapped(Try(1, {f"{SUBMIT}_0": "success"}), [SUBMIT]) == 0


def test_each_lane_that_was_mapped_counts_whatever_became_of_it() -> None:
    assert mapped(Try(2, {f"{SUBMIT}_0": "success", f"{SUBMIT}_1": None, f"{SUBMIT}_2": "failed"}), [SUBMIT]) == 3


def test_a_task_that_was_never_mapped_has_no_lanes() -> None:
    assert mapped(Try(2, {SUBMIT: "skipped"}), [SUBMIT]) == mapped(Try(2), [SUBMIT]) == 0
