"""What a publication read and wrote, for OpenLineage. Imported only where its provider asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.openlineage.facet import (
    Dataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage

from nightbatch.spec.locations import folder


def published(source: str, report: Mapping[str, Any]) -> OperatorLineage[Any, Any]:
    """Name the partition read and the one written, and how many rows it has.

    :param source: URL of the partition's folder.
    :param report: the report of the publication.
    """
    row_facet = OutputStatisticsOutputDatasetFacet(rowCount=int(report["rows"]))
    source_namespace, source_name = _dataset_name(source)
    target_namespace, target_name = _dataset_name(_published_url(report))
    input_dataset = Dataset(namespace=source_namespace, name=source_name)
    output_dataset = OutputDataset(
        namespace=target_namespace,
        name=target_name,
        outputFacets={"outputStatistics": row_facet},
    )
    return OperatorLineage(inputs=[input_dataset], outputs=[output_dataset])


def _published_url(report: Mapping[str, Any]) -> str:
    """Return the URL of the partition's folder, or the name of the Iceberg table."""
    target_url = str(report["target"])
    if target_url.startswith("iceberg:"):
        return target_url
    partition_folder = folder(str(report["partition"]))
    return target_url.rstrip("/") + "/" + partition_folder


def _dataset_name(url: str) -> tuple[str, str]:
    """Split a URL as OpenLineage names datasets: `s3://lake` and `tickets/dt=2026-11-21`; a table by its name."""
    if url.startswith("iceberg:"):
        return "iceberg", url.removeprefix("iceberg:")
    scheme, _, path = url.partition("://")
    bucket, _, key = path.partition("/")
    return f"{scheme}://{bucket}", key.strip("/") or "/"
