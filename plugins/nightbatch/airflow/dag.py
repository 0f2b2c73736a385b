"""`enrich(…)`: the whole flow as one task group, a task for each word of the flow, however many batches it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, TaskGroup

from nightbatch.airflow.operators.approve import ApproveOperator
from nightbatch.airflow.operators.land import LandOperator
from nightbatch.airflow.operators.prepare import PrepareOperator
from nightbatch.airflow.operators.publish import PublishOperator
from nightbatch.airflow.operators.submit import SubmitOperator
from nightbatch.airflow.sensors.run import RunSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseOperator

    from nightbatch.spec.enrichment import Enrichment

ALIAS = "nightbatch"
"""The alias through which runs that are told their target by a form tell of its asset."""
RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": 20.0,
    "retry_exponential_backoff": True,
}


def enrich(
    enrichment: Enrichment | None = None,
    *,
    group_id: str | None = None,
    inlets: Sequence[Any] | None = None,
    outlets: Sequence[Any] | None = None,
) -> TaskGroup:
    """Build the tasks that enrich a dataset.

    prepare → submit → wait → land → publish, with `approve` before `submit` where it may be needed. Where nothing is
    bought, `wait` and `land` are skipped.

    :param enrichment: what to do. None: the run's parameters say it all.
    :param group_id: prefix of the tasks' ids; needed where one DAG enriches two datasets.
    :param inlets: assets that are read. Default: the source, by its URL.
    :param outlets: assets that publishing updates; their events carry the report. Default: the target, by its URL.
        Without an enrichment: the run's own target, through the alias `nightbatch`.
    """
    read, told = _assets(enrichment, inlets, outlets)
    approvers = tuple(enrichment.approvers) if enrichment else ()
    with TaskGroup(group_id or "enrich", prefix_group_id=group_id is not None) as group:
        prepare = PrepareOperator(
            task_id="prepare", enrichment=enrichment, inlets=read, **RETRIES
        )
        run = _pulled(prepare)
        submit = SubmitOperator(task_id="submit", run=run, **RETRIES)
        sent = _pulled(submit)
        awaited = f"{{{{ {_value(submit)}['awaited'] }}}}"
        wait = RunSensor(task_id="wait", reference=run, awaited=awaited, **RETRIES)
        land = LandOperator(task_id="land", run=run, sent=sent, **RETRIES)
        publish = PublishOperator(
            task_id="publish",
            run=run,
            outlets=told,
            trigger_rule="none_failed",
            **RETRIES,
        )
        submit.spared = (wait.task_id, land.task_id)
        if _may_ask(enrichment, group.dag):
            approve = ApproveOperator(
                task_id="approve", run=run, approvers=approvers, **RETRIES
            )
            prepare >> approve >> submit
        else:
            prepare >> submit
        submit >> wait >> land >> publish
    return group


def _value(task: BaseOperator) -> str:
    """Write the expression that pulls what a task returned; a trigger needs the map index, or waits for ever."""
    return f"ti.xcom_pull(task_ids='{task.task_id}', map_indexes=ti.map_index)"


def _pulled(task: BaseOperator) -> str:
    """Write the template that renders what a task returned, as JSON."""
    return f"{{{{ {_value(task)} | tojson }}}}"


def _assets(
    enrichment: Enrichment | None,
    inlets: Sequence[Any] | None,
    outlets: Sequence[Any] | None,
) -> tuple[list[Any], list[Any]]:
    """Name what is read and what is told: source and target; an alias for a target that only a run's form names."""
    source: list[Any] = [Asset(enrichment.source_root)] if enrichment else []
    target: list[Any] = [Asset(enrichment.place) if enrichment else AssetAlias(ALIAS)]
    return source if inlets is None else list(
        inlets
    ), target if outlets is None else list(outlets)


def _may_ask(enrichment: Enrichment | None, dag: Any) -> bool:
    """Tell whether a run may need a human's approval: because its author says so, or a parameter of the run can."""
    said = enrichment is None or enrichment.approve_above_usd is not None
    return said or "approve_above_usd" in (getattr(dag, "params", None) or {})
