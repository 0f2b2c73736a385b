"""Run other people's batch operators against the API at the address given, and print what came of it as JSON.

A process of its own: Airflow reads its home and its connections from the environment when it is imported.
"""

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydantic
from airflow.providers.anthropic.hooks.anthropic import AnthropicHook
from airflow.providers.anthropic.operators.batch import AnthropicBatchOperator
from airflow.providers.anthropic.sensors.batch import AnthropicBatchSensor
from airflow.providers.common.ai.operators.llm_batch import LLMBatchOperator
from airflow.sdk.exceptions import TaskDeferred

MODEL = "claude-haiku-4-5"


class Triage(pydantic.BaseModel):
    """What the structured task asks for."""

    category: str
    urgent: bool


def requests(count: int) -> list[dict[str, Any]]:
    messages = [
        [{"role": "user", "content": f"request {number}"}] for number in range(count)
    ]
    return [
        {
            "custom_id": f"r{number}",
            "params": {"model": MODEL, "max_tokens": 50, "messages": message},
        }
        for number, message in enumerate(messages)
    ]


def context(pushed: dict[str, Any]) -> Any:
    """Return as much of a task's context as the operators look at."""
    instance = SimpleNamespace(
        dag_id="d", task_id="t", run_id="r", map_index=-1, try_number=1
    )
    instance.xcom_push = lambda key, value: pushed.update({key: value})
    return {"ti": instance, "task_instance": instance}


def finish_deferred(operator: Any, where: Any) -> Any:
    """Run an operator that defers: its trigger to the event, and what follows it."""
    try:
        return operator.execute(where)
    except TaskDeferred as deferred:
        event = asyncio.run(first_event(deferred.trigger))
        return getattr(operator, deferred.method_name)(where, event)


async def first_event(trigger: Any) -> Any:
    await asyncio.sleep(
        0.5
    )  # the batch ends meanwhile; LLMBatchTrigger polls every 30 seconds at the soonest
    async for event in trigger.run():
        return event.payload
    return None


def waiting_operator() -> Any:
    pushed: dict[str, Any] = {}
    operator = AnthropicBatchOperator(
        task_id="waiting", requests=requests(5), poll_interval=0.05
    )
    batch_id = operator.execute(context(pushed))
    hook = (
        AnthropicHook()
    )  # held: a client that is collected closes its stream under its reader
    kinds = [result.result.type for result in hook.stream_batch_results(batch_id)]
    return {"batch_id": batch_id, "pushed": pushed, "kinds": kinds}


def deferring_operator() -> Any:
    operator = AnthropicBatchOperator(
        task_id="deferring", requests=requests(3), poll_interval=0.05, deferrable=True
    )
    return {"batch_id": finish_deferred(operator, context({}))}


def sensor() -> Any:
    submit = AnthropicBatchOperator(
        task_id="submit", requests=requests(2), wait_for_completion=False
    )
    batch_id = submit.execute(context({}))
    AnthropicBatchSensor(
        task_id="sensor", batch_id=batch_id, poke_interval=0.05
    ).execute(context({}))
    deferring = AnthropicBatchSensor(
        task_id="deferring", batch_id=batch_id, poke_interval=0.05, deferrable=True
    )
    finish_deferred(deferring, context({}))
    return {"status": AnthropicHook().get_batch(batch_id).processing_status}


def canceling_hook() -> Any:
    hook = AnthropicHook()
    batch = hook.create_batch(requests(1), model=MODEL)
    return {"status": hook.cancel_batch(batch.id).processing_status}


def llm_batch(output_type: type, where: Path) -> Any:
    operator = LLMBatchOperator(
        task_id="llm",
        requests=["the invoice is wrong", "the app crashes"],
        result_path=where.as_uri(),
        llm_conn_id="llm",
        model_id=f"anthropic:{MODEL}",
        system_prompt="Triage.",
        output_type=output_type,
        max_tokens=200,
        deferrable=True,
    )
    manifest = finish_deferred(operator, context({}))
    rows = next(where.glob("*.jsonl")).read_text().splitlines()
    return {"manifest": manifest, "rows": [json.loads(row) for row in rows]}


def main() -> None:
    home = Path(sys.argv[1])
    print(json.dumps({
        "waiting_operator": waiting_operator(),
        "deferring_operator": deferring_operator(),
        "sensor": sensor(),
        "canceling_hook": canceling_hook(),
        "llm_text": llm_batch(str, home / "text"),
        "llm_structured": llm_batch(Triage, home / "structured"),
    }, default=str))  # fmt: skip


if __name__ == "__main__":
    main()
