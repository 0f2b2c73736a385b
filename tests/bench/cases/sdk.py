"""The official SDK's own path, as its documentation shows it."""

from __future__ import annotations

import json

import anthropic
import pyarrow as pa
import pyarrow.parquet as pq
from anthropic.types.messages import MessageBatchIndividualResponse
from tests.bench.data import MAX_TOKENS, MODEL, SCHEMA, SYSTEM

MOST = 100_000


def client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="bench", base_url=url)


def warm() -> None:
    """Import what pyarrow and the SDK import late."""
    api = client("http://127.0.0.1:9")
    assert api.messages.batches
    assert MessageBatchIndividualResponse
    pa.Table.from_pylist([{"a": 1}]).to_pylist()


def ask(source: str, url: str) -> list[str]:
    """rows → dicts → client.messages.batches.create."""
    made, api = [], client(url)
    for batch in pq.ParquetFile(f"{source}/part-0.parquet").iter_batches(MOST):
        requests = [
            {
                "custom_id": row["ticket_id"],
                "params": {
                    "model": MODEL,
                    "max_tokens": MAX_TOKENS,
                    "system": [{"type": "text", "text": SYSTEM}],
                    "output_config": {
                        "format": {"type": "json_schema", "schema": SCHEMA}
                    },
                    "messages": [
                        {
                            "role": "user",
                            "content": f"Subject: {row['subject']}\n\n<message>\n{row['body']}\n</message>",
                        }
                    ],
                },
            }
            for row in batch.to_pylist()
        ]
        made.append(api.messages.batches.create(requests=requests).id)  # type: ignore[arg-type]
    return made


def land(batches: list[str], url: str, folder: str) -> int:
    """client.messages.batches.results() → rows → pyarrow Table → Parquet."""
    read, api = 0, client(url)
    for batch in batches:
        rows = []
        for line in api.messages.batches.results(batch):
            message = line.result.message  # type: ignore[union-attr]
            rows.append(
                {
                    "custom_id": line.custom_id,
                    **json.loads(message.content[0].text),  # type: ignore[union-attr]
                    "model": message.model,
                    "stop_reason": message.stop_reason,
                    "input_tokens": message.usage.input_tokens,
                    "output_tokens": message.usage.output_tokens,
                }
            )
        pq.write_table(
            pa.Table.from_pylist(rows),
            f"{folder}/sdk-{batch}.parquet",
            compression="zstd",
        )
        read += len(rows)
    return read
