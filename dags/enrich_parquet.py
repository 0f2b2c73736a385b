"""Ask Claude about every row of any Parquet dataset in S3, from the form: half price, typed columns, nothing twice.

Rows that were answered before are not bought again, so trying with a `limit` first costs nothing twice.
"""

from airflow.sdk import DAG

from nightbatch import enrich, form_params

with DAG(
    dag_id="enrich_parquet",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["nightbatch"],
    params=form_params(
        source="s3://lake/tickets/",
        target="s3://lake/enriched/",
        prompt="Summarize: {{ body }}",
        model="claude-haiku-4-5",
    ),
):
    enrich()
