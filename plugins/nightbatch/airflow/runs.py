"""From an Enrichment and a run's parameters to the settings of this run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from nightbatch.airflow.connections import policy
from nightbatch.airflow.ports import now
from nightbatch.spec import overriding
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import partition_path
from nightbatch.spec.run_ref import RunRef

if TYPE_CHECKING:
    from nightbatch.spec.run import Run

BLANK: dict[str, Any] = {"source": "", "target": "", "prompt": "", "model": ""}


def resolve(enrichment: Enrichment | None, context: Mapping[str, Any]) -> Enrichment:
    """Let a run's parameters override the attributes of their names, and find the partition."""
    params = {
        name: value
        for name, value in dict(context.get("params") or {}).items()
        if name != "partition" or value
    }
    declared = _declared(context)
    if enrichment is None:
        settings = overriding.of_form(Enrichment(**BLANK), params, declared)
    else:
        settings = overriding.of_author(enrichment, params, declared)
    cap = policy().cap(settings.max_cost_usd)
    return replace(
        settings, partition=partition(settings.partition, context), max_cost_usd=cap
    )


def _declared(context: Mapping[str, Any]) -> set[str]:
    """Name the Params that the DAG, or the task, declares in code; a run's conf may hold others."""
    owners = (context.get("dag"), context.get("task"))
    return {name for owner in owners for name in (getattr(owner, "params", None) or {})}


def partition(template: str, context: Mapping[str, Any]) -> str:
    """Fill in the run's partition key, or yesterday's date (UTC) where the run has none; `/dt=1/` is `dt=1`."""
    key = getattr(context.get("dag_run"), "partition_key", None) or context.get(
        "partition_key"
    )
    yesterday = (now() - timedelta(days=1)).date().isoformat()
    return partition_path(template.replace("{partition_key}", key or yesterday))


def received(reference: str | Mapping[str, Any]) -> RunRef:
    """Read what `prepare` passed on, under the cap that the deployment has now."""
    ref = RunRef.from_xcom(reference)
    return replace(ref, max_cost_usd=policy().cap(ref.max_cost_usd))


def run_ref(settings: Enrichment, run: Run, context: Mapping[str, Any]) -> RunRef:
    """Make what the later tasks need to know of the run: ids and rules, no rows and no prompts."""
    from nightbatch.spec.run import reference

    dag_run: Any = context["dag_run"]
    ref = reference(settings, run, f"{dag_run.dag_id}/{dag_run.run_id}")
    if settings.deadline_hours is None:
        return ref
    started = getattr(dag_run, "start_date", None) or now()
    return replace(
        ref, deadline=(started + timedelta(hours=settings.deadline_hours)).isoformat()
    )
