"""A publication tells OpenLineage which partition it read, which it wrote, and how many rows that has."""

from __future__ import annotations

import pytest

from nightbatch.airflow.lineage import published


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("s3://lake/triage/", ("s3://lake", "triage/dt=2026-11-21")),
        ("iceberg:lake.triage", ("iceberg", "lake.triage")),
    ],
)
def test_it_names_both_partitions_and_counts_rows(
    target: str, named: tuple[str, str]
) -> None:
    report = {"target": target, "partition": "dt=2026-11-21", "rows": 3}
    told = published("s3://lake/tickets/dt=2026-11-21/", report)
    assert [(one.namespace, one.name) for one in told.inputs] == [
        ("s3://lake", "tickets/dt=2026-11-21")
    ]
    (written,) = told.outputs
    assert (written.namespace, written.name) == named
    assert written.outputFacets["outputStatistics"].rowCount == 3
