"""What was published, as Airflow's asset events; and the partitions that such events name for a downstream run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias

from nightbatch.errors import SettingsError
from nightbatch.spec import locations


def emit_events(
    context: Mapping[str, Any], outlets: Iterable[Any], report: Mapping[str, Any]
) -> None:
    """Attach the report to each asset's event, and the partition's key where there is a partition.

    An event with a key starts partitioned consumers only, one without a key starts plain ones only. So the event of
    a partition always carries the partition's key, even if the run has none, such as one started from the form.
    """
    run_key = getattr(context["dag_run"], "partition_key", None)
    partition_key = event_key(str(report["partition"]), run_key)
    for asset in outlets:
        event = context["outlet_events"][asset]
        if isinstance(asset, AssetAlias):
            # The target is known only now; Airflow gives the event the run's own key.
            target_asset = Asset(str(report["target"]))
            event.add(target_asset, extra=dict(report))
            continue
        event.extra = dict(report)
        if partition_key:
            event.add_partitions(partition_key)


def event_key(partition: str, run_key: str | None) -> str:
    """Return the run's own key if the partition is named by it, else the key in the partition's path."""
    if run_key:
        key_at_end = rf"(?<![0-9A-Za-z]){re.escape(run_key)}(?=/|$)"
        if re.search(key_at_end, partition):
            return run_key
    return locations.partition_key(partition)


def partitions_to_load(context: Mapping[str, Any], template: str) -> list[str]:
    """Return the partition of the run's parameter, else those of the triggering events, else that of the run's key.

    Raises SettingsError where none of them names a partition.
    """
    parameters = context.get("params") or {}
    requested_partition = parameters.get("partition")
    if requested_partition:
        return [str(requested_partition)]
    event_partitions = _event_partitions(context)
    if event_partitions:
        return event_partitions
    run_key = getattr(context.get("dag_run"), "partition_key", None)
    if run_key is None and "{partition_key}" in template:
        raise SettingsError(
            "partition: name one, such as dt=2026-11-21; neither an asset event nor a key says which."
        )
    return [template.replace("{partition_key}", run_key or "")]


def _event_partitions(context: Mapping[str, Any]) -> list[str]:
    """Return the partitions that the triggering asset events name, each once, in their order."""
    events_by_asset = context.get("triggering_asset_events") or {}
    partitions: dict[str, None] = {}
    for asset_events in events_by_asset.values():
        for event in asset_events:
            if "partition" in event.extra:
                partitions[event.extra["partition"]] = None
    return list(partitions)
