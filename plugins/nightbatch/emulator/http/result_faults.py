"""Damage to the lines of a result stream: garbled, duplicated, unknown, missing. The seed chooses the lines."""

import json
import random
from collections.abc import Callable, Container, Iterator

from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.wire import Json

Lines = Iterator[bytes]
Damage = Callable[[bytes], list[bytes]]


def damaged(lines: Lines, count: int, fault: Fault) -> Lines:
    """Yield the lines, some of them damaged: a `share`, or N `lines` (default one; all for `unknown_fields`)."""
    damage = _DAMAGES[fault.what]
    damaged_numbers = _damaged_numbers(count, fault)
    for line_number, line in enumerate(lines):
        if line_number in damaged_numbers:
            yield from damage(line)
        else:
            yield line


def _damaged_numbers(count: int, fault: Fault) -> Container[int]:
    all_numbers = range(count)
    damaged_count = _damaged_count(count, fault)
    if damaged_count >= count:
        return all_numbers
    sample_seed = f"{fault.seed}:{fault.id}:{count}"
    generator = random.Random(sample_seed)  # noqa: S311
    damaged_numbers = generator.sample(all_numbers, damaged_count)
    return frozenset(damaged_numbers)


def _damaged_count(count: int, fault: Fault) -> int:
    options = fault.options
    if "share" in options:
        share = float(options["share"])
        share_count = round(share * count)
        return max(1, share_count)
    default_count = count if fault.what == "unknown_fields" else 1
    line_count = options.get("lines", default_count)
    return int(line_count)


def _garbled(line: bytes) -> list[bytes]:
    middle = len(line) // 2
    return [line[:middle] + b"\x00\xff{,]" + line[middle + 5 :]]


def _unknown_type(line: bytes) -> list[bytes]:
    row = json.loads(line)
    row["result"] = {"type": "deferred", "until": "2026-12-01T00:00:00Z"}
    return [_row_line(row)]


def _unknown_id(line: bytes) -> list[bytes]:
    row = json.loads(line)
    unknown_id = f"stranger-{row['custom_id']}"
    row["custom_id"] = unknown_id[:64]
    return [line, _row_line(row)]


def _unknown_fields(line: bytes) -> list[bytes]:
    row = json.loads(line)
    row["sequence"] = 1
    result = row["result"]
    result["trace"] = {"region": "eu"}
    if "message" in result:
        message = result["message"]
        message["context_management"] = None
        message["grade"] = "a"
        usage = message["usage"]
        usage["reasoning_units"] = 7
        usage["output_tokens_details"] = None
    return [_row_line(row)]


def _row_line(row: Json) -> bytes:
    row_json = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
    return row_json.encode() + b"\n"


_DAMAGES: dict[str, Damage] = {
    "garbled": _garbled,
    "duplicated": lambda line: [line, line],
    "unknown_id": _unknown_id,
    "unknown_type": _unknown_type,
    "unknown_fields": _unknown_fields,
    "missing": lambda _: [],
    "blank": lambda line: [line, b"\n"],
}
