"""What is published, as Airflow's asset events; and the partitions that such events tell a downstream run of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias

from nightbatch.errors import SettingsError
from nightbatch.spec import locations


def tell(
    context: Mapping[str, Any], outlets: Iterable[Any], report: Mapping[str, Any]
) -> None:
    """Give each asset's event the report, and the partition's key where there is a partition.

    An event with a key starts partitioned consumers only, one without starts plain ones only; so a partition is told
    by its key even by a run that has none, such as one from the form.
    """
    key = event_key(
        str(report["partition"]), getattr(context["dag_run"], "partition_key", None)
    )
    for asset in outlets:
        event = context["outlet_events"][asset]
        if isinstance(
            asset, AssetAlias
        ):  # the target is known only now; Airflow gives the event the run's own key
            event.add(Asset(str(report["target"])), extra=dict(report))
            continue
        event.extra = dict(report)
        if key:
            event.add_partitions(key)


def event_key(partition: str, run_key: str | None) -> str:
    """Return the run's own key if the partition is named by it, else the key that the partition's path gives."""
    if run_key and re.search(
        rf"(?<![0-9A-Za-z]){re.escape(run_key)}(?=/|$)", partition
    ):
        return run_key
    return locations.partition_key(partition)


def told(context: Mapping[str, Any], template: str) -> list[str]:
    """Return the partitions to work on: the one asked for, else those of the triggering events, else by the run's key.

    Raises SettingsError where nothing says which.
    """
    if asked := (context.get("params") or {}).get("partition"):
        return [str(asked)]
    events = context.get("triggering_asset_events") or {}
    named = [
        event.extra["partition"]
        for told in events.values()
        for event in told
        if "partition" in event.extra
    ]
    if named:
        return list(dict.fromkeys(named))
    key = getattr(context.get("dag_run"), "partition_key", None)
    if key is None and "{partition_key}" in template:
        raise SettingsError(
            "partition: name one, such as dt=2026-11-21; neither an asset event nor a key says which."
        )
    return [template.replace("{partition_key}", key or "")]
