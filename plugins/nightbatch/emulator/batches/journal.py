"""What outlives the process: facts about batches as JSON, written as they happen and read back at the next start."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from nightbatch.emulator.answers.bill import Bill
from nightbatch.emulator.answers.usage import Usage
from nightbatch.emulator.batches.batch import Answers, Batch
from nightbatch.emulator.batches.timeline import BatchId, Timeline
from nightbatch.emulator.faults.rules import read_fault


class _Index(msgspec.Struct, array_like=True):
    """A batch's answers without their lines."""

    ends: bytes
    kinds: bytes
    contents: bytes
    usage: dict[str, list[int]]
    cost: dict[str, float]


def batch_fact(batch: Batch) -> dict[str, Any]:
    """Return a batch as a fact."""
    return {
        "id": batch.id,
        "number": batch.number,
        "count": batch.count,
        "size": batch.size,
        "betas": sorted(batch.betas),
        "faults": [{"id": fault.id, "spec": fault.spec()} for fault in batch.faults],
        "credit_until": batch.credit_until,
        "timeline": asdict(batch.timeline),
    }


def batch_of(fact: Mapping[str, Any]) -> Batch:
    """Return the batch of a fact."""
    return Batch(
        id=BatchId(fact["id"]),
        number=fact["number"],
        count=fact["count"],
        size=fact["size"],
        timeline=Timeline(**fact["timeline"]),
        betas=frozenset(fact["betas"]),
        faults=tuple(
            read_fault(fault["spec"], fault["id"]) for fault in fact["faults"]
        ),
        credit_until=fact["credit_until"],
    )


def write_index(path: Path, answers: Answers) -> None:
    """Write a batch's answers but for their lines, whole or not at all."""
    usage = {
        model: list(asdict(total).values())
        for model, total in answers.bill.usage.items()
    }
    index = _Index(
        answers.ends.tobytes(),
        bytes(answers.kinds),
        answers.contents.tobytes(),
        usage,
        answers.bill.cost,
    )
    half = path.with_suffix(".half")
    half.write_bytes(msgspec.msgpack.encode(index))
    half.replace(path)


def read_index(path: Path) -> Answers | None:
    """Return the answers of a batch; None when they were never finished."""
    if not path.exists():
        return None
    index = msgspec.msgpack.decode(path.read_bytes(), type=_Index)
    ends, contents = array("Q"), array("Q")
    ends.frombytes(index.ends)
    contents.frombytes(index.contents)
    usage = {model: Usage(*total) for model, total in index.usage.items()}
    return Answers(ends, bytearray(index.kinds), contents, Bill(usage, index.cost))
