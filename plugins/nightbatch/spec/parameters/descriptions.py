"""What each parameter of an `Enrichment` means. Its type and default are those of the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightbatch.spec.locations import RESERVED
from nightbatch.spec.rules import MAX_BYTES, MAX_REQUESTS

CANARY = ("new", "always", "never")
DATA = "Data"
PROMPT = "Prompt"
ANSWER = "Answer"
COST = "Cost"
RUN = "Run"
SECTIONS = (DATA, PROMPT, ANSWER, COST, RUN)
SHARE = "share"
"""The unit of a number from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a parameter means.

    `empty`: what None or an empty value stands for. `low` and `high`: bounds, both included. `in_form`: whether the
    form of `enrich_parquet` has it. `multiline`: its text is edited in several lines.
    """

    section: str
    title: str
    text: str
    empty: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    example: Any = None
    in_form: bool = True
    multiline: bool = False


_DATA = {
    "source": Description(
        section=DATA,
        title="Source",
        text="Folder of the Parquet dataset.",
        unit="URL",
        example="s3://lake/tickets/",
    ),
    "target": Description(
        section=DATA,
        title="Target",
        text="Folder that receives the partitions.",
        unit="URL",
        example="s3://lake/ticket_triage/",
    ),
    "partition": Description(
        section=DATA,
        title="Partition",
        text="Path of the partition below source and target. In code, `{partition_key}` stands for the run's partition"
        " key, else yesterday's date (UTC).",
        empty="the dataset as it is",
        example="dt=2026-11-21",
    ),
    "key": Description(
        section=DATA,
        title="Key",
        text="Columns that identify a row: no nulls, no duplicates.",
        empty="rows have no key",
        example=["ticket_id"],
    ),
    "keep": Description(
        section=DATA,
        title="Keep",
        text="Columns that are carried over to the output, after those of the key.",
        empty="those of the key",
        example=["country", "created_at"],
    ),
    "limit": Description(
        section=DATA,
        title="Sampled rows",
        text="Send only the first rows, to try a prompt; they are not bought again later.",
        empty="all rows",
        unit="rows",
        low=1,
        example=100,
    ),
    "table": Description(
        section=DATA,
        title="Iceberg table",
        text="An Iceberg table that receives the rows instead of `target`; `state` is needed then.",
        empty="Parquet files below `target`",
        example="lake.ticket_triage",
        in_form=False,
    ),
}
_PROMPT = {
    "prompt": Description(
        section=PROMPT,
        title="Prompt",
        text="Jinja template over the columns of a row. In code also a `Prompt`, which may hold the system part too.",
        example="Summarize: {{ body }}",
        multiline=True,
    ),
    "system": Description(
        section=PROMPT,
        title="System prompt",
        text="Sent as it is with every row, and cached if it is long. It is no template.",
        empty="no system part",
        example="You triage support tickets.",
        multiline=True,
    ),
    "model": Description(
        section=PROMPT,
        title="Model",
        text="The model's id.",
        example="claude-haiku-4-5",
    ),
    "params": Description(
        section=PROMPT,
        title="Other parameters",
        text="Any other parameters of the Messages API.",
        example={"temperature": 0},
    ),
    "allow_params": Description(
        section=PROMPT,
        title="Allowed parameters",
        text="Names of Messages parameters, and types of tools, that cost more than tokens or reach other hosts, and"
        " that `params` may hold all the same.",
        empty="none of them",
        example=["web_search_20260209"],
        in_form=False,
    ),
    "media_roots": Description(
        section=PROMPT,
        title="Media roots",
        text="URLs below which the addresses of images and documents must lie.",
        empty="the source's bucket, and any `https://` address",
        example=["s3://lake/scans/"],
    ),
}
_ANSWER = {
    "answer": Description(
        section=ANSWER,
        title="Answer model",
        text="A pydantic model of the answer: one output column for each field.",
        empty="one text column, `answer`",
        example="TicketTriage",
        in_form=False,
    ),
    "answer_schema": Description(
        section=ANSWER,
        title="Answer schema",
        text="The same as a JSON schema of an object.",
        empty="one text column, `answer`",
        example={"type": "object", "properties": {"stars": {"type": "integer"}}},
    ),
    "max_tokens": Description(
        section=ANSWER,
        title="Max tokens",
        text="Maximum number of tokens of one answer; a longer one is cut, and published as `truncated`.",
        unit="tokens",
        low=1,
        example=300,
    ),
    "min_answered": Description(
        section=ANSWER,
        title="Minimum answered",
        text="Share of rows that must be answered; below it the run fails and publishes nothing.",
        unit=SHARE,
        low=0,
        high=1,
        example=0.95,
    ),
    "allow_empty": Description(
        section=ANSWER,
        title="Allow empty",
        text="Publish a partition without rows even where the one before it has some.",
        example=True,
    ),
    "checks": Description(
        section=ANSWER,
        title="Checks",
        text="What is checked before publishing: `rows`, `unique`, `answered` and `drift`.",
        empty="the checks `rows` and `unique`",
        example={"drift": {"columns": ["category"], "most": 0.2, "level": "red"}},
    ),
}
_COST = {
    "max_cost_usd": Description(
        section=COST,
        title="Cost cap (USD)",
        text="Buy nothing that may make the run cost more than this.",
        empty="no cap",
        unit="US dollars",
        low=0,
        example=20,
    ),
    "max_monthly_cost_usd": Description(
        section=COST,
        title="Monthly cost cap (USD)",
        text="The same for all runs of the target in a calendar month (UTC).",
        empty="no cap",
        unit="US dollars",
        low=0,
        example=300,
    ),
    "approve_above_usd": Description(
        section=COST,
        title="Approve above (USD)",
        text="Ask a person before buying what may cost more than this.",
        empty="nobody is asked",
        unit="US dollars",
        low=0,
        example=5,
    ),
    "approve_within_hours": Description(
        section=COST,
        title="Approve within (hours)",
        text="Without an answer by then, nothing is bought.",
        unit="hours",
        low=0.001,
        high=24 * 7,
        example=12,
    ),
    "approvers": Description(
        section=COST,
        title="Approvers",
        text="Ids of the Airflow users who may approve (SimpleAuthManager: their names; FAB: their numbers, as texts),"
        " but not a run of their own.",
        empty="everybody who may answer the task",
        example=["finance"],
        in_form=False,
    ),
    "reuse": Description(
        section=COST,
        title="Reuse answers",
        text="Take answers that an earlier run has bought.",
        example=False,
    ),
    "canary": Description(
        section=COST,
        title="Canary",
        text="Whether a batch of three rows goes first: where this prompt, schema, model and parameters have never been"
        " answered (`new`), `always` or `never`.",
        choices=CANARY,
        example="always",
    ),
    "attempts": Description(
        section=COST,
        title="Attempts",
        text="How often a request without a result is sent in one run.",
        low=1,
        high=5,
        example=2,
    ),
}
_RUN = {
    "max_batch_requests": Description(
        section=RUN,
        title="Batch size (requests)",
        text="Maximum number of requests of one batch; the API takes 100,000.",
        unit="requests",
        low=1,
        high=MAX_REQUESTS,
        example=20_000,
    ),
    "max_batch_bytes": Description(
        section=RUN,
        title="Batch size (bytes)",
        text="Maximum size of one batch; the API takes 256 MB.",
        unit="bytes",
        low=1_000,
        high=MAX_BYTES,
        example=64_000_000,
    ),
    "max_in_flight_requests": Description(
        section=RUN,
        title="Queue cap (requests)",
        text="Maximum number of requests that the account may have in progress, from all senders.",
        empty="no cap",
        unit="requests",
        low=1,
        example=50_000,
    ),
    "poll_seconds": Description(
        section=RUN,
        title="Poll interval (seconds)",
        text="Longest pause between two requests for the status of a batch.",
        unit="seconds",
        low=0.05,
        high=3600,
        example=30,
    ),
    "give_up_minutes": Description(
        section=RUN,
        title="Give up (minutes)",
        text="How long a run that has bought nothing yet goes on where the API cannot be reached or refuses for the"
        " moment; then it fails.",
        unit="minutes",
        low=0.1,
        high=60 * 24,
        example=10,
    ),
    "deadline_hours": Description(
        section=RUN,
        title="Deadline (hours)",
        text="After this long, cancel what is in progress and publish what there is.",
        empty="no deadline",
        unit="hours",
        low=0,
        high=24 * 29,
        example=6,
    ),
    "cancel_on_fail": Description(
        section=RUN,
        title="Cancel on failure",
        text="Cancel the batches of a run when a person marks its waiting task failed.",
        example=True,
    ),
    "anthropic_conn_id": Description(
        section=RUN,
        title="Anthropic connection",
        text="Id of the Airflow connection that holds the API key.",
        example="anthropic_default",
    ),
    "aws_conn_id": Description(
        section=RUN,
        title="AWS connection",
        text="Id of the Airflow connection for the bucket.",
        example="aws_default",
    ),
    "iceberg_conn_id": Description(
        section=RUN,
        title="Iceberg connection",
        text="Id of the Airflow connection for the catalog of `table`.",
        example="iceberg_default",
        in_form=False,
    ),
    "state": Description(
        section=RUN,
        title="State",
        text="Folder of the ledger.",
        empty=f"`{RESERVED}/` beside the target",
        unit="URL",
        example=f"s3://lake/{RESERVED}/ticket_triage/",
    ),
}
DESCRIPTIONS: Mapping[str, Description] = {
    **_DATA,
    **_PROMPT,
    **_ANSWER,
    **_COST,
    **_RUN,
}
"""All parameters, in the order of the form and of the reference."""
