"""What the benchmarks work on: support tickets of about 0.9 KB, and the result lines of their batches."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SYSTEM = "You triage support tickets. Answer with the five fields of the schema and nothing else. " * 5
TEMPLATE = "Subject: {{ subject }}\n\n<message>\n{{ body }}\n</message>"
MODEL, MAX_TOKENS = "claude-haiku-4-5", 300
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "bug", "account", "shipping", "other"]},
        "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
        "sentiment": {"enum": ["negative", "neutral", "positive"]},
        "summary": {"type": "string", "maxLength": 400},
        "needs_human": {"type": "boolean"},
    },
    "required": ["category", "urgency", "sentiment", "summary", "needs_human"],
    "additionalProperties": False,
}
WORDS = re.split(
    " ",
    'the boiler "Larkwood 2" has been cold since Monday and app shows error 17 again please help me café Zürich\n'
    "we waited for your colleague on the phone but nobody came so what about our refund of 49 € for the plan",
)
POOL, GROUP = 4_096, 65_536


def write_tickets(path: Path, rows: int, *, start: int = 0) -> Path:
    """Write `rows` tickets, none of them equal to another, and return the folder."""
    random.seed(7)
    path.mkdir(parents=True, exist_ok=True)
    pool = pa.array([" ".join(random.choices(WORDS, k=150)) for _ in range(POOL)])
    schema = pa.schema([("ticket_id", pa.string()), ("subject", pa.string()), ("body", pa.string())])
    with pq.ParquetWriter(path / "part-0.parquet", schema, compression="zstd", compression_level=1) as writer:
        for first in range(start, start + rows, GROUP):
            numbers = pa.array(range(first, min(first + GROUP, start + rows)))
            digits = numbers.cast(pa.string())
            ids = pc.binary_join_element_wise("T-", pc.utf8_lpad(digits, 9, "0"), "")
            subjects = pc.binary_join_element_wise("Re: heating ", digits, "")
            texts = pool.take(pc.bit_wise_and(numbers, POOL - 1))
            bodies = pc.binary_join_element_wise(texts, "ref", digits, " ")
            writer.write_table(pa.table([ids, subjects, bodies], schema=schema))
    return path


def result_lines(custom_ids: Iterable[str]) -> Iterator[bytes]:
    """Make one succeeded line for each id, about 1.2 KB with the envelope's usual fields."""
    random.seed(11)
    for custom_id in custom_ids:
        yield json.dumps(_line(custom_id), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _line(custom_id: str) -> dict[str, Any]:
    answer = {
        "category": random.choice(SCHEMA["properties"]["category"]["enum"]),
        "urgency": random.randint(1, 5),
        "sentiment": random.choice(["negative", "neutral", "positive"]),
        "summary": " ".join(random.choices(WORDS, k=40)),
        "needs_human": random.random() < 0.2,
    }
    usage = {
        "input_tokens": random.randint(200, 300), "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": random.randint(40, 80), "service_tier": "batch", "inference_geo": "global",
    }  # fmt: skip
    message = {
        "id": f"msg_{random.getrandbits(96):024x}", "type": "message", "role": "assistant", "model": MODEL,
        "content": [{"type": "text", "text": json.dumps(answer, ensure_ascii=False)}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    return {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}
