"""Ask Claude about every row of any Parquet dataset in S3, from the form: half price, typed columns, nothing twice.

Rows that were answered before are not bought again, so trying with a `limit` first costs nothing twice.
"""

from airflow.sdk import DAG, Param

from nightbatch import enrich

DATA, ASK, ANSWER, BUY, RUN = "Data", "What is asked", "What is answered", "Money", "How it runs"


def of(section: str, default: object, title: str, description: str, **schema: object) -> Param:
    """Describe one field of the form."""
    return Param(default, section=section, title=title, description_md=description, **schema)


NUMBER, INTEGER, TEXT = ["null", "number"], ["null", "integer"], ["null", "string"]
URL = {"type": "string", "pattern": "^s3://.+", "minLength": 6}
NAMES = {"type": ["null", "array"], "items": {"type": "string"}}

with DAG(
    dag_id="enrich_parquet",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["nightbatch"],
    params={
        "source": of(DATA, "s3://lake/tickets/", "Source", "Folder of the Parquet dataset.", **URL),
        "target": of(DATA, "s3://lake/enriched/", "Target", "Folder that receives the partitions.", **URL),
        "partition": of(DATA, None, "Partition", "Such as `dt=2026-11-21`; empty: the dataset as it is.", type=TEXT),
        "key": of(DATA, None, "Key", "Columns that identify a row, one a line: no nulls, no duplicates. May be empty.", **NAMES),
        "keep": of(DATA, None, "Keep", "Columns carried over, one a line; empty: those of the key.", **NAMES),
        "limit": of(DATA, None, "Rows", "At most this many rows; empty: all.", type=INTEGER, minimum=1),
        "system": of(ASK, None, "System prompt", "Shared by all rows, and cached if long.", type=TEXT, format="multiline"),
        "prompt": of(ASK, "Summarise: {{ body }}", "Prompt", "Jinja template over the columns.", type="string", format="multiline", minLength=1),
        "model": of(ASK, "claude-haiku-4-5", "Model", "The model's id.", type="string", minLength=1),
        "params": of(ASK, {}, "Other parameters", "Any other parameters of the Messages API.", type="object"),
        "media_roots": of(ASK, None, "Media roots", "Folders below which the addresses of images and documents must lie, one a line; empty: the source's bucket, and any `https://` address.", **NAMES),
        "answer_schema": of(ANSWER, None, "Answer schema", "JSON schema of an object; empty: one text column.", type=["null", "object"]),
        "max_tokens": of(ANSWER, 1024, "Most tokens", "Most tokens of one answer.", type="integer", minimum=1),
        "min_answered": of(ANSWER, 0.95, "Least answered", "Share of rows below which the run is red.", type="number", minimum=0, maximum=1),
        "allow_empty": of(ANSWER, False, "Allow empty", "Publish no rows, although the partition before has some.", type="boolean"),
        "max_cost_usd": of(BUY, None, "Most cost, USD", "Buy nothing that may cost more.", type=NUMBER, minimum=0),
        "max_monthly_cost_usd": of(BUY, None, "Most cost a month, USD", "Of the target, in a calendar month (UTC).", type=NUMBER, minimum=0),
        "approve_above_usd": of(BUY, None, "Approve above, USD", "Ask a human before buying what may cost more.", type=NUMBER, minimum=0),
        "approve_within_hours": of(BUY, 12, "Approve within, hours", "Without an answer by then nothing is bought.", type="number", exclusiveMinimum=0, maximum=168),
        "checks": of(ANSWER, {}, "Checks", 'Before publishing, such as `{"drift": {"columns": ["category"], "most": 0.2, "level": "red"}}`.', type=["null", "object"]),
        "reuse": of(BUY, True, "Reuse answers", "Take what was bought before.", type="boolean"),
        "canary": of(BUY, "new", "Canary", "Whether one small batch goes first.", enum=["new", "always", "never"]),
        "attempts": of(BUY, 3, "Attempts", "How often a lost request is asked.", type="integer", minimum=1, maximum=5),
        "max_batch_requests": of(RUN, 100000, "Requests a batch", "The API takes 100,000.", type="integer", minimum=1, maximum=100000),
        "max_batch_bytes": of(RUN, 256000000, "Bytes a batch", "The API takes 256 MB.", type="integer", minimum=1000, maximum=256000000),
        "max_in_flight_requests": of(RUN, None, "Requests in the queue", "Most of the account at once.", type=INTEGER, minimum=1),
        "poll_seconds": of(RUN, 60, "Poll", "Longest pause between two looks, in seconds.", type="number", minimum=0.05, maximum=3600),
        "deadline_hours": of(RUN, None, "Deadline, hours", "Cancel then, publish what there is.", type=NUMBER, minimum=0),
        "cancel_on_fail": of(RUN, False, "Cancel on fail", "Cancel the batch of a task marked failed.", type="boolean"),
        "anthropic_conn_id": of(RUN, "anthropic_default", "Anthropic connection", "Airflow connection id.", type="string"),
        "aws_conn_id": of(RUN, "aws_default", "AWS connection", "Airflow connection id.", type="string"),
        "state": of(RUN, None, "State", "URL of the ledger; empty: beside the target.", type=TEXT),
    },
):  # fmt: skip
    enrich()
