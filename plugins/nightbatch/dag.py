"""`enrich(…)`: the whole flow as one task group, a task for each word and a mapped lane for each shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, TaskGroup, task_group

from nightbatch.operators.approve import ApproveOperator
from nightbatch.operators.land import LandOperator
from nightbatch.operators.plan import PlanOperator
from nightbatch.operators.prepare import PrepareOperator
from nightbatch.operators.publish import PublishOperator
from nightbatch.operators.submit import SubmitOperator
from nightbatch.sensors.batch import BatchSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightbatch.core.enrichment import Enrichment

MOST_ATTEMPTS = 5
ALIAS = "nightbatch"
"""The alias through which runs that are told their target by a form tell of its asset."""
RETRIES: dict[str, Any] = {"retries": 3, "retry_delay": 20.0, "retry_exponential_backoff": True}


def enrich(
    enrichment: Enrichment | None = None,
    *,
    group_id: str | None = None,
    inlets: Sequence[Any] | None = None,
    outlets: Sequence[Any] | None = None,
) -> TaskGroup:
    """Build the tasks that enrich a dataset.

    prepare → a canary (attempt 0) → plan → (submit → wait → land) for each shard → plan again for what is lost → …
    → publish.

    :param enrichment: what to do. None: the run's parameters say it all.
    :param group_id: prefix of the tasks' ids; needed where one DAG enriches two datasets.
    :param inlets: assets that are read. Default: the source, by its URL.
    :param outlets: assets that publishing updates; their events carry the report. Default: the target, by its URL.
        Without an enrichment: the run's own target, through the alias `nightbatch`.
    """
    read, told = _assets(enrichment, inlets, outlets)
    attempts = enrichment.attempts if enrichment else MOST_ATTEMPTS
    approvers = tuple(enrichment.approvers) if enrichment else ()
    with TaskGroup(group_id or "enrich", prefix_group_id=group_id is not None) as group:
        last: Any = PrepareOperator(task_id="prepare", enrichment=enrichment, inlets=read, **RETRIES)
        run = f"{{{{ ti.xcom_pull(task_ids='{last.task_id}') | tojson }}}}"
        if _may_ask(enrichment, group.dag):
            last = last >> ApproveOperator(task_id="approve", run=run, approvers=approvers, **RETRIES)
        waves = [_attempt(run, attempt) for attempt in range(attempts + 1)]
        for wave in waves:
            last = last >> wave
        _tell_what_is_spared(waves)
        publish = PublishOperator(task_id="publish", run=run, outlets=told, trigger_rule="none_failed", **RETRIES)
        last >> publish
    return group


def _assets(
    enrichment: Enrichment | None, inlets: Sequence[Any] | None, outlets: Sequence[Any] | None
) -> tuple[list[Any], list[Any]]:
    """Name what is read and what is told: source and target; an alias for a target that only a run's form names."""
    source: list[Any] = [Asset(enrichment.source_root)] if enrichment else []
    target: list[Any] = [Asset(enrichment.place) if enrichment else AssetAlias(ALIAS)]
    return source if inlets is None else list(inlets), target if outlets is None else list(outlets)


def _may_ask(enrichment: Enrichment | None, dag: Any) -> bool:
    """Tell whether a run may need a human's approval: because its author says so, or a parameter of the run can."""
    said = enrichment is None or enrichment.approve_above_usd is not None
    return said or "approve_above_usd" in (getattr(dag, "params", None) or {})


def _tell_what_is_spared(waves: list[TaskGroup]) -> None:
    """Tell each plan which tasks there is no need for if it names no shard: its own lanes, and after a canary's all.

    Left to the trigger rules the same tasks are skipped, but one after the other, a turn of the scheduler for each.
    """
    for attempt, wave in enumerate(waves):
        plan: Any = next(task for task in wave.iter_tasks() if isinstance(task, PlanOperator))
        after = waves[attempt:] if attempt else waves[:1]
        plan.spared = [task.task_id for one in after for task in one.iter_tasks() if task is not plan]


def _attempt(run: str, attempt: int) -> TaskGroup:
    """Build one wave: a plan, and a lane for each shard it names. Empty ones are skipped."""
    rule = "none_failed" if attempt <= 1 else "none_failed_min_one_success"
    with TaskGroup(f"attempt_{attempt}") as wave:
        plan = PlanOperator(task_id="plan", run=run, attempt=attempt, trigger_rule=rule, **RETRIES)

        @task_group(group_id="shard")
        def shard(lane: Any) -> None:
            submit = SubmitOperator(task_id="submit", run=run, lane=lane, **RETRIES)
            pulled = f"ti.xcom_pull(task_ids='{submit.task_id}', map_indexes=ti.map_index)"
            wait = BatchSensor(
                task_id="wait",
                batch=f"{{{{ {pulled}['batch'] }}}}",
                conn=f"{{{{ {pulled}['conn'] }}}}",
                poll=f"{{{{ {pulled}['poll'] }}}}",
                deadline=f"{{{{ {pulled}['deadline'] }}}}",
                cancel_at_deadline=f"{{{{ {pulled}['cancel_at_deadline'] }}}}",
                cancel_on_fail=f"{{{{ {pulled}['cancel_on_fail'] }}}}",
                **RETRIES,
            )
            submit >> wait >> LandOperator(task_id="land", run=run, lane=lane, **RETRIES)

        shard.expand(lane=plan.output)
    return wave
