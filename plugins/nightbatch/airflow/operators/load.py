"""Load as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightbatch.airflow import assets, ports
from nightbatch.load.loading import Loading
from nightbatch.spec.locations import parse
from nightbatch.wording import counted

if TYPE_CHECKING:
    from airflow.sdk import Context


class LoadOperator(BaseOperator):
    """Load what was published into a warehouse table, and return what was loaded.

    The partition is that of the run's parameter `partition`, else of the asset events that started the run, else of
    the run's partition key.

    :param target: URL of the folder that holds the published partitions.
    :param into: the table, and whether a partition's rows are replaced or merged by key.
    :param partition: path of a partition, with `{partition_key}` for the run's key; empty: there are no partitions.
    :param conn_id: a `duckdb` or `postgres` connection; default: `warehouse_default`, a DuckDB file if it is not there.
    :param aws_conn_id: the `aws` connection that reads the target.
    """

    template_fields: Sequence[str] = ("target", "conn_id")
    ui_color = "#e0f2f1"

    def __init__(
        self,
        *,
        target: str,
        into: Loading,
        partition: str = "dt={partition_key}",
        conn_id: str = "warehouse_default",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.into = into
        self.partition = partition
        self.conn_id = conn_id
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        from nightbatch.airflow.warehouses import warehouse
        from nightbatch.load.load import load

        with ports.final_errors(), warehouse(self.conn_id) as open_warehouse:
            target_url = parse(self.target, "target").url
            target_store = ports.store(target_url, self.aws_conn_id)
            load_reports = []
            for partition in assets.partitions_to_load(context, self.partition):
                load_report = load(target_store, partition, self.into, open_warehouse)
                load_reports.append(load_report)
            self._log_reports(load_reports)
            return load_reports

    def _log_reports(self, load_reports: list[dict[str, Any]]) -> None:
        for load_report in load_reports:
            self.log.info(
                "%s of %s: loaded into %s.",
                counted(load_report["rows"], "row"),
                load_report["partition"] or "the target",
                load_report["table"],
            )
