"""Every night, triage the support tickets of the day before: category, urgency, sentiment, summary, needs a human."""

from enum import StrEnum

from airflow.sdk import DAG, CronPartitionTimetable, Param
from pydantic import BaseModel, Field

from nightbatch import Enrichment, InputSensor, Prompt, enrich


class Category(StrEnum):
    BILLING = "billing"
    BUG = "bug"
    ACCOUNT = "account"
    SHIPPING = "shipping"
    FEATURE_REQUEST = "feature_request"
    OTHER = "other"


class Sentiment(StrEnum):
    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class TicketTriage(BaseModel):
    category: Category
    urgency: int = Field(ge=1, le=5)
    sentiment: Sentiment
    summary: str = Field(max_length=400)
    needs_human: bool


triage = Enrichment(
    source="s3://lake/tickets/", target="s3://lake/ticket_triage/", key=["ticket_id"],
    partition="dt={partition_key}",
    prompt=Prompt.read("ticket_triage.md"),
    answer=TicketTriage,
    model="claude-haiku-4-5", max_tokens=300,
)  # fmt: skip

with DAG(
    dag_id="ticket_triage",
    schedule=CronPartitionTimetable(
        "0 0 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"
    ),
    catchup=False,
    params={
        "partition": Param(
            None,
            type=["null", "string"],
            title="Partition",
            description="Such as `dt=2026-11-21`. Empty: the run's partition key, else yesterday.",
        )
    },
    doc_md=__doc__,
    tags=["nightbatch"],
):
    InputSensor(task_id="input", enrichment=triage) >> enrich(triage)
