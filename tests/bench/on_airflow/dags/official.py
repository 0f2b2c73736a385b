"""The official operator's DAG, as documented: a task makes the requests, the operator asks, a task reads."""

from airflow.providers.anthropic.operators.batch import AnthropicBatchOperator
from airflow.sdk import DAG, Param, task


@task(show_return_value_in_logs=False)
def read_requests(params: dict) -> list[dict]:
    """rows of a Parquet file in S3 → requests."""
    import io

    import pyarrow.parquet as pq
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    ask = params["ask"]
    body = S3Hook().get_key(params["key"], "lake").get()["Body"].read()
    return [
        {
            "custom_id": row["ticket_id"],
            "params": {
                "model": ask["model"],
                "max_tokens": ask["max_tokens"],
                "system": [{"type": "text", "text": ask["system"]}],
                "output_config": {
                    "format": {"type": "json_schema", "schema": ask["schema"]}
                },
                "messages": [
                    {
                        "role": "user",
                        "content": f"Subject: {row['subject']}\n\n<message>\n{row['body']}\n</message>",
                    }
                ],
            },
        }
        for row in pq.read_table(io.BytesIO(body)).to_pylist()
    ]


@task
def write_answers(batch_id: str, params: dict) -> int:
    """results of a batch → a Parquet file in S3."""
    import io
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.anthropic.hooks.anthropic import AnthropicHook

    rows, hook = (
        [],
        AnthropicHook(),
    )  # kept: the client closes its connection when the hook goes
    for line in hook.stream_batch_results(batch_id):
        message = line.result.message
        rows.append(
            {
                "ticket_id": line.custom_id,
                **json.loads(message.content[0].text),
                "model": message.model,
                "stop_reason": message.stop_reason,
                "input_tokens": message.usage.input_tokens,
                "output_tokens": message.usage.output_tokens,
            }
        )
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, compression="zstd")
    S3Hook().load_bytes(buffer.getvalue(), params["answers"], "lake", replace=True)
    return len(rows)


with DAG(
    "official",
    schedule=None,
    catchup=False,
    params={"key": "", "answers": "", "ask": Param({}, type="object")},
):
    asked = AnthropicBatchOperator(
        task_id="submit_batch",
        requests=read_requests(),
        deferrable=True,
        poll_interval=1,
        retries=0,
    )
    write_answers(asked.output)
