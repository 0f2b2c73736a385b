"""Runs that only some users may approve: one whom the stack does not know, and the one who starts every run."""

from airflow.sdk import DAG

from nightbatch import Enrichment, enrich

for approver in ("another", "admin"):
    with DAG(dag_id=f"approved_by_{approver}", schedule=None, catchup=False):
        enrich(
            Enrichment(
                source="s3://lake/approval/in/",
                target=f"s3://lake/approval/by_{approver}/",
                prompt="Summarise: {{ body }}",
                model="claude-haiku-4-5",
                max_tokens=50,
                attempts=1,
                canary="never",
                approve_above_usd=0,
                approve_within_hours=0.008,
                approvers=[approver],
            )
        )
