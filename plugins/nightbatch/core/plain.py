"""The common result, a column at a time: a message that ended by itself and says one text, which is an answer.

What it makes of a line is what `judge` makes of it; lines that are not so plain are left to `judge`, one by one.
"""

from __future__ import annotations

from functools import reduce
from itertools import compress
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core.answer import AnswerType
from nightbatch.core.columns import Columns
from nightbatch.core.landed import all_of
from nightbatch.core.outcome import TABLE, Status
from nightbatch.core.price import BATCH
from nightbatch.core.wire import Scan, part

_ENDED = pa.array(
    [stop for (kind, stop), status in TABLE.items() if kind == "succeeded" and status is Status.ANSWERED], pa.string()
)


class Plain(NamedTuple):
    """Plain answers: whose they are (custom_ids), a hash of each one's words, their columns; and all other lines."""

    names: list[str]
    said: list[int]
    columns: Columns
    rest: bytes


def plain(scanned: Scan, answer: AnswerType) -> Plain | None:
    """Pick the plain answers out of a block and lay them out in columns; None where it could not be scanned."""
    rows = scanned.rows
    if rows is None:
        return None
    picked = _plain(rows)
    texts = _texts(rows.filter(pa.array(picked))).to_pylist()
    values, unfit = answer.read_all(texts)
    if unfit:
        fit = np.ones(len(texts), dtype=bool)
        fit[unfit] = False
        texts, values, picked[picked] = list(compress(texts, fit)), values.filter(pa.array(fit)), fit
    lines = [] if picked.all() else [line for line in scanned.block.split(b"\n") if line]
    rest = b"\n".join(compress(lines, ~picked))
    taken = rows if not lines else rows.filter(pa.array(picked))
    return Plain(part(taken, "custom_id").to_pylist(), list(map(hash, texts)), _columns(taken, texts, values), rest)


def _plain(rows: pa.StructArray) -> np.ndarray:
    """Tell which rows are messages of one text block that ended by themselves and say what they used."""
    message = part(rows, "result", "message")
    one = pc.equal(pc.list_value_length(part(message, "content")), 1)
    rules = [
        one, part(rows, "custom_id").is_valid(), pc.equal(part(rows, "result", "type"), "succeeded"),
        pc.is_in(part(message, "stop_reason"), value_set=_ENDED), part(message, "usage").is_valid(),
    ]  # fmt: skip
    so_far = pc.fill_null(reduce(pc.and_, rules), fill_value=False)
    block = part(rows.filter(so_far), "result", "message", "content").flatten()
    text = pc.and_(pc.equal(part(block, "type"), "text"), pc.greater(pc.binary_length(part(block, "text")), 0))
    picked = np.array(so_far)
    picked[picked] = np.asarray(pc.fill_null(text, fill_value=False))
    return picked


def _texts(rows: pa.StructArray) -> pa.Array:
    return part(part(rows, "result", "message", "content").flatten(), "text")


def _columns(rows: pa.StructArray, texts: list[str], values: pa.Array) -> Columns:
    message = part(rows, "result", "message")
    usage = part(message, "usage")
    tier = part(usage, "service_tier")
    return Columns(
        statuses=all_of(Status.ANSWERED, len(rows)),
        errors=pa.nulls(len(rows), pa.string()),
        values=values,
        texts=_texts(rows),
        models=part(message, "model"),
        stops=part(message, "stop_reason"),
        tiers=pc.if_else(pc.fill_null(pc.equal(tier, ""), fill_value=True), BATCH, tier),
        regions=part(usage, "inference_geo"),
        tokens=_tokens(usage),
    )


def _tokens(usage: pa.StructArray) -> np.ndarray:
    """Lay out tokens by class, as `results` does for one."""
    read, said, new, written = (
        _whole(part(usage, name))
        for name in ("cache_read_input_tokens", "output_tokens", "input_tokens", "cache_creation_input_tokens")
    )
    hour, five = (_whole(part(usage, "cache_creation", f"ephemeral_{age}_input_tokens")) for age in ("1h", "5m"))
    five = np.where(five != 0, five, np.maximum(0, written - hour))
    return np.stack([new, five, hour, read, said], axis=1)


def _whole(counts: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(counts, 0))
