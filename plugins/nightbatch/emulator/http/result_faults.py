"""Damage to the lines of a result stream: garbled, doubled, strange, missing. Which lines: so many, chosen by seed."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from nightbatch.emulator.faults.rules import Fault

Damage = Callable[[bytes], list[bytes]]


def damaged(lines: Iterator[bytes], count: int, fault: Fault) -> Iterator[bytes]:
    """Yield the lines with a fault's damage done to some: `share` of them, or `lines` (default one; all for fields)."""
    damage = _DAMAGES[fault.what]
    chosen = _chosen(count, fault)
    for number, line in enumerate(lines):
        if number in chosen:
            yield from damage(line)
        else:
            yield line


def _chosen(count: int, fault: Fault) -> frozenset[int] | range:
    default = count if fault.what == "unknown_fields" else 1
    share = fault.options.get("share")
    wanted = (
        int(fault.options.get("lines", default))
        if share is None
        else max(1, round(float(share) * count))
    )
    if wanted >= count:
        return range(count)
    chance = random.Random(f"{fault.seed}:{fault.id}:{count}")  # noqa: S311
    return frozenset(chance.sample(range(count), wanted))


def _garbled(line: bytes) -> list[bytes]:
    middle = len(line) // 2
    return [line[:middle] + b"\x00\xff{,]" + line[middle + 5 :]]


def _unknown_type(line: bytes) -> list[bytes]:
    return [
        _changed(
            line,
            lambda row: {
                **row,
                "result": {"type": "deferred", "until": "2026-12-01T00:00:00Z"},
            },
        )
    ]


def _unknown_id(line: bytes) -> list[bytes]:
    return [
        line,
        _changed(
            line, lambda row: {**row, "custom_id": f"stranger-{row['custom_id']}"[:64]}
        ),
    ]


def _unknown_fields(line: bytes) -> list[bytes]:
    def with_more(row: dict[str, Any]) -> dict[str, Any]:
        result = row["result"] | {"trace": {"region": "eu"}}
        if "message" in result:
            usage = result["message"]["usage"] | {
                "reasoning_units": 7,
                "output_tokens_details": None,
            }
            result["message"] = result["message"] | {
                "usage": usage,
                "context_management": None,
                "grade": "a",
            }
        return row | {"result": result, "sequence": 1}

    return [_changed(line, with_more)]


def _changed(line: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    return (
        json.dumps(
            change(json.loads(line)), separators=(",", ":"), ensure_ascii=False
        ).encode()
        + b"\n"
    )


_DAMAGES: dict[str, Damage] = {
    "garbled": _garbled,
    "duplicated": lambda line: [line, line],
    "unknown_id": _unknown_id,
    "unknown_type": _unknown_type,
    "unknown_fields": _unknown_fields,
    "missing": lambda _: [],
    "blank": lambda line: [line, b"\n"],
}
