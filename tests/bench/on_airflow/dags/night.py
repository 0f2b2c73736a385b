"""A nightly DAG without approval: five tasks; what it asks and where it reads and writes are a run's parameters."""

from airflow.sdk import DAG, Param

from nightbatch import Enrichment, enrich

night = Enrichment(
    source="s3://lake/night/in/",
    target="s3://lake/night/out/",
    key=["id"],
    prompt="Say: {{ text }}",
    model="claude-haiku-4-5",
    max_tokens=20,
    canary="never",
    attempts=1,
)
NAMES = (
    "source",
    "target",
    "key",
    "prompt",
    "max_tokens",
    "canary",
    "attempts",
    "max_batch_requests",
    "poll_seconds",
)

with DAG(
    "night",
    schedule=None,
    catchup=False,
    params={
        **{name: getattr(night, name) for name in NAMES},
        "limit": Param(None, type=["null", "integer"]),
    },
):
    enrich(night)
