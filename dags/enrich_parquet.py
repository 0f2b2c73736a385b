"""Ask Claude about every row of any Parquet dataset in S3, from the form: half price, typed columns, nothing twice.

Rows that were answered before are not bought again, so trying with a `limit` first costs nothing twice.
"""

from airflow.sdk import DAG, Param

from nightbatch import enrich

DATA, ASK, ANSWER, BUY, RUN = "Data", "Prompt", "Answer", "Cost", "Run"


def of(
    section: str, default: object, title: str, description: str, **schema: object
) -> Param:
    """Describe one field of the form."""
    return Param(
        default, section=section, title=title, description_md=description, **schema
    )


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
        "limit": of(DATA, None, "Sampled rows", "Ask only this many rows; empty: all of them.", type=INTEGER, minimum=1),
        "system": of(ASK, None, "System prompt", "Shared by all rows, and cached if long.", type=TEXT, format="multiline"),
        "prompt": of(ASK, "Summarize: {{ body }}", "Prompt", "Jinja template over the columns.", type="string", format="multiline", minLength=1),
        "model": of(ASK, "claude-haiku-4-5", "Model", "The model's id.", type="string", minLength=1),
        "params": of(ASK, {}, "Other parameters", "Any other parameters of the Messages API.", type="object"),
        "media_roots": of(ASK, None, "Media roots", "Folders below which the addresses of images and documents must lie, one a line; empty: the source's bucket, and any `https://` address.", **NAMES),
        "answer_schema": of(ANSWER, None, "Answer schema", "JSON schema of an object; empty: one text column.", type=["null", "object"]),
        "max_tokens": of(ANSWER, 1024, "Max tokens", "Maximum number of tokens of one answer.", type="integer", minimum=1),
        "min_answered": of(ANSWER, 0.95, "Minimum answered", "Share of rows that must be answered; below it the run is red and publishes nothing.", type="number", minimum=0, maximum=1),
        "allow_empty": of(ANSWER, False, "Allow empty", "Publish an empty partition even where the one before it has rows.", type="boolean"),
        "max_cost_usd": of(BUY, None, "Cost cap (USD)", "Buy nothing that may cost more than this.", type=NUMBER, minimum=0),
        "max_monthly_cost_usd": of(BUY, None, "Monthly cost cap (USD)", "For this target, in a calendar month (UTC).", type=NUMBER, minimum=0),
        "approve_above_usd": of(BUY, None, "Approve above (USD)", "Ask a person before buying what may cost more than this.", type=NUMBER, minimum=0),
        "approve_within_hours": of(BUY, 12, "Approve within (hours)", "Without an answer by then, nothing is bought.", type="number", exclusiveMinimum=0, maximum=168),
        "checks": of(ANSWER, {}, "Checks", 'Before publishing, such as `{"drift": {"columns": ["category"], "most": 0.2, "level": "red"}}`.', type=["null", "object"]),
        "reuse": of(BUY, True, "Reuse answers", "Take answers that were bought before.", type="boolean"),
        "canary": of(BUY, "new", "Canary", "Whether a batch of three rows goes first: for a new question, always, or never.", enum=["new", "always", "never"]),
        "attempts": of(BUY, 3, "Attempts", "How often a request without a result is asked.", type="integer", minimum=1, maximum=5),
        "max_batch_requests": of(RUN, 100000, "Batch size (requests)", "Maximum number of requests of one batch; the API takes 100,000.", type="integer", minimum=1, maximum=100000),
        "max_batch_bytes": of(RUN, 256000000, "Batch size (bytes)", "Maximum size of one batch; the API takes 256 MB.", type="integer", minimum=1000, maximum=256000000),
        "max_in_flight_requests": of(RUN, None, "Queue cap (requests)", "Maximum number of requests that the account may have in progress; empty: no cap.", type=INTEGER, minimum=1),
        "poll_seconds": of(RUN, 60, "Poll interval (seconds)", "Longest pause between two looks at a batch.", type="number", minimum=0.05, maximum=3600),
        "deadline_hours": of(RUN, None, "Deadline (hours)", "After this long, cancel what is in progress and publish what there is.", type=NUMBER, minimum=0),
        "cancel_on_fail": of(RUN, False, "Cancel on failure", "Cancel the batches of this run when its waiting task is marked failed.", type="boolean"),
        "anthropic_conn_id": of(RUN, "anthropic_default", "Anthropic connection", "Airflow connection id.", type="string"),
        "aws_conn_id": of(RUN, "aws_default", "AWS connection", "Airflow connection id.", type="string"),
        "state": of(RUN, None, "State", "URL of the ledger; empty: beside the target.", type=TEXT),
    },
):  # fmt: skip
    enrich()
