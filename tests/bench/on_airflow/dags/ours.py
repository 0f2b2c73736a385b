"""Our DAG: one Enrichment with its defaults; what it asks and where it reads and writes are a run's parameters."""

from airflow.sdk import DAG, Param

from nightbatch import Enrichment, enrich

triage = Enrichment(
    source="s3://lake/tickets/", target="s3://lake/triage/", key=["ticket_id"], prompt="{{ subject }}",
    model="claude-haiku-4-5", max_tokens=300, poll_seconds=1,
)  # fmt: skip

with DAG(
    "ours",
    schedule=None,
    catchup=False,
    params={
        "source": triage.source, "target": triage.target, "system": "", "prompt": "",
        "answer_schema": Param(None, type=["null", "object"]),
    },
):  # fmt: skip
    enrich(triage)
