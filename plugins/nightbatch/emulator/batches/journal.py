"""What outlives the process: facts about batches as JSON, written as they happen and read back at the next start."""

from __future__ import annotations

from array import array
from dataclasses import asdict
from pathlib import Path

import msgspec

from nightbatch.emulator.answers.bill import Bill
from nightbatch.emulator.answers.usage import AnswerUsage
from nightbatch.emulator.batches.batch import Batch, BatchAnswers
from nightbatch.emulator.batches.timeline import BatchId, Timeline
from nightbatch.emulator.faults.rules import read_fault
from nightbatch.emulator.wire import Json


class _Index(msgspec.Struct, array_like=True):
    """A batch's answers without their lines."""

    ends: bytes
    kinds: bytes
    contents: bytes
    usage: dict[str, list[int]]
    cost: dict[str, float]


_index_decoder = msgspec.msgpack.Decoder(_Index)


def batch_fact(batch: Batch) -> Json:
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


def batch_of(fact: Json) -> Batch:
    """Return the batch of a fact."""
    row_faults = [read_fault(fault["spec"], fault["id"]) for fault in fact["faults"]]
    return Batch(
        id=BatchId(fact["id"]),
        number=fact["number"],
        count=fact["count"],
        size=fact["size"],
        timeline=Timeline(**fact["timeline"]),
        betas=frozenset(fact["betas"]),
        faults=tuple(row_faults),
        credit_until=fact["credit_until"],
    )


def write_index(path: Path, answers: BatchAnswers) -> None:
    """Write a batch's answers but for their lines, whole or not at all."""
    token_counts = {
        model: list(asdict(usage).values())
        for model, usage in answers.bill.usage.items()
    }
    index = _Index(
        ends=answers.ends.tobytes(),
        kinds=bytes(answers.kinds),
        contents=answers.contents.tobytes(),
        usage=token_counts,
        cost=answers.bill.cost,
    )
    half_path = path.with_suffix(".half")
    half_path.write_bytes(msgspec.msgpack.encode(index))
    half_path.replace(path)


def read_index(path: Path) -> BatchAnswers | None:
    """Return the answers of a batch; None when they were never finished."""
    if not path.exists():
        return None
    index = _index_decoder.decode(path.read_bytes())
    usage_by_model = {
        model: AnswerUsage(*token_counts) for model, token_counts in index.usage.items()
    }
    return BatchAnswers(
        ends=_read_array(index.ends),
        kinds=bytearray(index.kinds),
        contents=_read_array(index.contents),
        bill=Bill(usage_by_model, index.cost),
    )


def _read_array(data: bytes) -> array[int]:
    numbers = array("Q")
    numbers.frombytes(data)
    return numbers
