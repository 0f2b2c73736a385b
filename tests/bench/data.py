"""What the benchmarks work on: support tickets of about 0.9 KB, and the result lines of their batches."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SYSTEM = (
    "You triage support tickets. Answer with the five fields of the schema and nothing else. "
    * 5
)
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
NARROW_TEMPLATE = "{{ subject }}"
NARROW_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"urgency": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["urgency"],
    "additionalProperties": False,
}
POOL, GROUP = 4_096, 65_536


def write_tickets(path: Path, rows: int) -> Path:
    """Write `rows` tickets, none of them equal to another, and return the folder."""
    random.seed(7)
    pool = pa.array([" ".join(random.choices(WORDS, k=150)) for _ in range(POOL)])

    def made(numbers: pa.Array) -> pa.Table:
        digits = numbers.cast(pa.string())
        ids = pc.binary_join_element_wise("T-", pc.utf8_lpad(digits, 9, "0"), "")
        subjects = pc.binary_join_element_wise("Re: heating ", digits, "")
        texts = pool.take(pc.bit_wise_and(numbers, POOL - 1))
        bodies = pc.binary_join_element_wise(texts, "ref", digits, " ")
        return pa.table({"ticket_id": ids, "subject": subjects, "body": bodies})

    return _write(path, rows, made)


def write_narrow(path: Path, rows: int) -> Path:
    """Write `rows` rows of a number and a few words, and return the folder."""

    def made(numbers: pa.Array) -> pa.Table:
        words = pc.binary_join_element_wise(
            "boiler error", numbers.cast(pa.string()), " "
        )
        return pa.table({"ticket_id": numbers.cast(pa.int64()), "subject": words})

    return _write(path, rows, made)


def _write(path: Path, rows: int, made: Callable[[pa.Array], pa.Table]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    schema = made(pa.array([0])).schema
    with pq.ParquetWriter(
        path / "part-0.parquet", schema, compression="zstd", compression_level=1
    ) as writer:
        for first in range(0, rows, GROUP):
            writer.write_table(made(pa.array(range(first, min(first + GROUP, rows)))))
    return path


def result_lines(custom_ids: Iterable[str], *, narrow: bool = False) -> Iterator[bytes]:
    """Make one succeeded line for each id, about 0.85 KB with the envelope's usual fields; 0.6 KB if narrow."""
    random.seed(11)
    for custom_id in custom_ids:
        answer = {"urgency": random.randint(1, 5)} if narrow else _answer()
        yield (
            json.dumps(
                _line(custom_id, answer), ensure_ascii=False, separators=(",", ":")
            ).encode()
            + b"\n"
        )


def _answer() -> dict[str, Any]:
    return {
        "category": random.choice(SCHEMA["properties"]["category"]["enum"]),
        "urgency": random.randint(1, 5),
        "sentiment": random.choice(["negative", "neutral", "positive"]),
        "summary": " ".join(random.choices(WORDS, k=40)),
        "needs_human": random.random() < 0.2,
    }


def _line(custom_id: str, answer: dict[str, Any]) -> dict[str, Any]:
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
