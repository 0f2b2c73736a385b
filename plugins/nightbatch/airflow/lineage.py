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
    target = str(report["target"])
    whole = (
        target
        if target.startswith("iceberg:")
        else target.rstrip("/") + "/" + folder(str(report["partition"]))
    )
    rows = OutputStatisticsOutputDatasetFacet(rowCount=int(report["rows"]))
    namespace, name = _named(whole)
    written = OutputDataset(
        namespace=namespace, name=name, outputFacets={"outputStatistics": rows}
    )
    return OperatorLineage(inputs=[Dataset(*_named(source))], outputs=[written])


def _named(url: str) -> tuple[str, str]:
    """Split a URL as OpenLineage names datasets: `s3://lake` and `tickets/dt=2026-11-21`; a table by its name."""
    if url.startswith("iceberg:"):
        return "iceberg", url.removeprefix("iceberg:")
    scheme, _, path = url.partition("://")
    bucket, _, key = path.partition("/")
    return f"{scheme}://{bucket}", key.strip("/") or "/"
