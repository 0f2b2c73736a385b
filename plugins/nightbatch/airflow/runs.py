"""From an Enrichment and a run's parameters to the settings of this run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from nightbatch.airflow.connections import policy
from nightbatch.airflow.ports import now
from nightbatch.spec import overriding
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import named_partition
from nightbatch.spec.run_ref import RunRef

BLANK: dict[str, Any] = {"source": "", "target": "", "prompt": "", "model": ""}


def resolve(enrichment: Enrichment | None, context: Mapping[str, Any]) -> Enrichment:
    """Let a run's parameters override the attributes of their names, and find the partition."""
    run_params = dict(context.get("params") or {})
    if not run_params.get("partition"):
        run_params.pop("partition", None)
    declared_names = _declared_params(context)
    if enrichment is None:
        blank_enrichment = Enrichment(**BLANK)
        settings = overriding.of_form(blank_enrichment, run_params, declared_names)
    else:
        settings = overriding.of_author(enrichment, run_params, declared_names)
    cost_cap = policy().cap(settings.max_cost_usd)
    run_partition = partition(settings.partition, context)
    return replace(settings, partition=run_partition, max_cost_usd=cost_cap)


def _declared_params(context: Mapping[str, Any]) -> set[str]:
    """Return the names of the Params that the DAG or the task declares in code; a run's conf may hold others."""
    declared_names: set[str] = set()
    for owner_name in ("dag", "task"):
        owner = context.get(owner_name)
        declared_names.update(getattr(owner, "params", None) or {})
    return declared_names


def partition(template: str, context: Mapping[str, Any]) -> str:
    """Fill in the run's partition key, or yesterday's date (UTC) where the run has none; `/dt=1/` is `dt=1`."""
    run_key = getattr(context.get("dag_run"), "partition_key", None)
    partition_key = run_key or context.get("partition_key")
    return named_partition(template, partition_key, now().date())


def received(reference: str | Mapping[str, Any]) -> RunRef:
    """Read what `prepare` passed on, under the cost cap that the deployment has now."""
    ref = RunRef.from_xcom(reference)
    cost_cap = policy().cap(ref.rules.max_cost_usd)
    rules = replace(ref.rules, max_cost_usd=cost_cap)
    return replace(ref, rules=rules)


def allowed(enrichment: Enrichment | None, context: Mapping[str, Any]) -> Enrichment:
    """Return the settings of this run, checked, and held to the deployment's policy."""
    settings = resolve(enrichment, context)
    settings.check()
    policy().check(settings)
    return policy().narrowed(settings)


def identity(context: Mapping[str, Any]) -> tuple[str, datetime]:
    """Name a run in the ledger, and say when it began."""
    dag_run: Any = context["dag_run"]
    started = getattr(dag_run, "start_date", None) or now()
    return f"{dag_run.dag_id}/{dag_run.run_id}", started
