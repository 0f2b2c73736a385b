"""`enrich(…)`: the whole flow as one task group, one task for each step, however many batches it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, TaskGroup, chain

from nightbatch.airflow.operators.approve import ApproveOperator
from nightbatch.airflow.operators.land import LandOperator
from nightbatch.airflow.operators.prepare import PrepareOperator
from nightbatch.airflow.operators.publish import PublishOperator
from nightbatch.airflow.operators.submit import SubmitOperator
from nightbatch.airflow.runs import BLANK
from nightbatch.airflow.sensors.run import RunSensor
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.parameters.combinations import check_authored

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow.sdk import BaseOperator

ALIAS = "nightbatch"
"""The alias for the asset events of runs whose target comes from the trigger form."""
RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": 20.0,
    "retry_exponential_backoff": 2.0,
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

    :param enrichment: what to do. None: the run's parameters say everything.
    :param group_id: prefix of the tasks' ids; needed where one DAG enriches two datasets.
    :param inlets: assets that are read. Default: the source, by its URL.
    :param outlets: assets that publishing updates; their events carry the report. Default: the target, by its URL.
        Without an enrichment: the run's own target, through the alias `nightbatch`.
    """
    source_assets = _source_assets(enrichment, inlets)
    target_assets = _target_assets(enrichment, outlets)
    has_prefix = group_id is not None
    with TaskGroup(group_id or "enrich", prefix_group_id=has_prefix) as group:
        declared_params = _declared_params(group.dag)
        _check_authored(enrichment, declared_params)
        prepare = PrepareOperator(
            task_id="prepare", enrichment=enrichment, inlets=source_assets, **RETRIES
        )
        run_template = _json_template(prepare)
        approval = _approval(enrichment, declared_params, run_template)
        purchase = _purchase(run_template)
        publish = PublishOperator(
            task_id="publish",
            run=run_template,
            outlets=target_assets,
            trigger_rule="none_failed",
            **RETRIES,
        )
        chain(prepare, *approval, *purchase, publish)
    return group


def _approval(
    enrichment: Enrichment | None, declared_params: Collection[str], run_template: str
) -> list[BaseOperator]:
    """Build the task in which a person approves the purchase; none where no run can need it."""
    if not _may_need_approval(enrichment, declared_params):
        return []
    approver_ids = tuple(enrichment.approvers) if enrichment else ()
    approve = ApproveOperator(
        task_id="approve", run=run_template, approvers=approver_ids, **RETRIES
    )
    return [approve]


def _purchase(run_template: str) -> list[BaseOperator]:
    """Build the tasks that send requests, wait for their batches and land the results, in their order."""
    submit = SubmitOperator(task_id="submit", run=run_template, **RETRIES)
    awaited_template = _field_template(submit, "awaited")
    wait = RunSensor(
        task_id="wait", reference=run_template, awaited=awaited_template, **RETRIES
    )
    land = LandOperator(
        task_id="land", run=run_template, sent=_json_template(submit), **RETRIES
    )
    submit.batch_tasks = (wait.task_id, land.task_id)
    return [submit, wait, land]


def _declared_params(dag: Any) -> set[str]:
    """Name the parameters that the DAG declares, and that a run may therefore set."""
    return set(getattr(dag, "params", None) or {})


def _check_authored(
    enrichment: Enrichment | None, declared_params: Collection[str]
) -> None:
    """Refuse at import what no run of the DAG could do. Raises SettingsError."""
    settings = Enrichment(**BLANK) if enrichment is None else enrichment
    check_authored(settings, declared_params)


def _pull_expression(task: BaseOperator) -> str:
    """Write the expression that pulls what a task returned; without the map index, a trigger would wait forever."""
    return f"ti.xcom_pull(task_ids='{task.task_id}', map_indexes=ti.map_index)"


def _json_template(task: BaseOperator) -> str:
    """Write the template that renders what a task returned, as JSON."""
    pull_expression = _pull_expression(task)
    return f"{{{{ {pull_expression} | tojson }}}}"


def _field_template(task: BaseOperator, field_name: str) -> str:
    """Write the template that renders one field of what a task returned."""
    pull_expression = _pull_expression(task)
    return f"{{{{ {pull_expression}[{field_name!r}] }}}}"


def _source_assets(
    enrichment: Enrichment | None, inlets: Sequence[Any] | None
) -> list[Any]:
    """Return the assets that are read: the given inlets, else the source."""
    if inlets is not None:
        return list(inlets)
    if enrichment is None:
        return []
    return [Asset(enrichment.source_root)]


def _target_assets(
    enrichment: Enrichment | None, outlets: Sequence[Any] | None
) -> list[Any]:
    """Return the assets that are updated: the given outlets, else the target; an alias if only the run names it."""
    if outlets is not None:
        return list(outlets)
    if enrichment is None:
        return [AssetAlias(ALIAS)]
    return [Asset(enrichment.output_name)]


def _may_need_approval(
    enrichment: Enrichment | None, declared_params: Collection[str]
) -> bool:
    """Return whether a run may need approval: by its author's settings, or by a parameter that the DAG declares."""
    if enrichment is None or enrichment.approve_above_usd is not None:
        return True
    return "approve_above_usd" in declared_params
