"""A DAG that is not ours: it sends a batch of its own, and waits for that and for others, by id, in every manner."""

from __future__ import annotations

from typing import Any

from airflow.providers.anthropic.hooks.anthropic import AnthropicHook
from airflow.sdk import DAG, task

from nightbatch.airflow.sensors.batch import BatchSensor

BATCHES = ("cleared", "marked", "given_up", "late", "left")


def waits(name: str, **more: Any) -> BatchSensor:
    """Wait for the batch that the run's parameter of this name holds."""
    return BatchSensor(task_id=name, batch=f"{{{{ params.{name} }}}}", poll=2, **more)


with DAG("waits", schedule=None, params={**dict.fromkeys(BATCHES, ""), "deadline": ""}):

    @task
    def send() -> str:
        """Send a batch as anybody does."""
        params: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 10}
        texts = [f"ended-{number}" for number in range(3)]
        items: Any = [
            {
                "custom_id": text,
                "params": {**params, "messages": [{"role": "user", "content": text}]},
            }
            for text in texts
        ]
        return str(
            AnthropicHook().get_conn().messages.batches.create(requests=items).id
        )

    @task
    def read(seen: dict[str, Any]) -> int:
        """Use what a sensor returned."""
        return int(seen["counts"]["succeeded"])

    read(BatchSensor(task_id="ended", batch=send(), poll=2).output)
    waits("cleared", cancel_on_fail=True)
    waits("marked")
    waits("given_up", cancel_on_fail=True)
    waits("late", deadline="{{ params.deadline }}")
    waits("left", deadline="{{ params.deadline }}", cancel_at_deadline=False)
