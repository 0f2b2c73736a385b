"""The process that renders templates which may need any amount of memory: it has a limit, and may be killed.

It reads Arrow streams of rows from standard input and answers each with a stream of prompts. `python -m` starts it.
"""

from __future__ import annotations

import resource
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa
from pyarrow import ipc

from nightbatch.core.errors import TemplateError
from nightbatch.core.media import Piece
from nightbatch.core.template import Template

if TYPE_CHECKING:
    from io import BufferedReader

EXTRA_BYTES = 1024**3
"""Memory that rendering may take beyond what the process has when it starts."""
PART = pa.struct(
    [("text", pa.large_string()), ("kind", pa.string()), ("address", pa.string()), ("data", pa.large_binary())]
)
PROMPTS = pa.schema([("parts", pa.large_list(PART))])
TEMPLATE, CUT, ERROR, UNREADABLE = b"template", b"cut", b"error", b"unreadable"


def main() -> None:
    """Answer until standard input ends."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    limit = pages * resource.getpagesize() + EXTRA_BYTES
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    questions = cast("BufferedReader", sys.stdin.buffer)
    while questions.peek(1):
        with ipc.open_stream(questions) as reader:
            rows = reader.read_all().combine_chunks()
        (batch,) = rows.to_batches() or [pa.RecordBatch.from_pylist([], schema=rows.schema)]
        write(sys.stdout.buffer, *answer(batch))


def answer(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[bytes, bytes]]:
    """Render a batch by what its schema's metadata say."""
    metadata = batch.schema.metadata
    template = _template(metadata[TEMPLATE].decode())
    rows = batch.replace_schema_metadata(None)
    try:
        prompts = (
            template.cut(rows) if metadata[CUT] == b"1" else [[text] for text in template.render(rows).to_pylist()]
        )
        parts = [[_part(part) for part in prompt] for prompt in prompts]
        return pa.RecordBatch.from_arrays([pa.array(parts, PROMPTS.field(0).type)], schema=PROMPTS), {}
    except TemplateError as error:
        return pa.RecordBatch.from_pylist([], schema=PROMPTS), {ERROR: str(error).encode()}
    except UnicodeError:
        return pa.RecordBatch.from_pylist([], schema=PROMPTS), {UNREADABLE: b"1"}


def write(out: BinaryIO, batch: pa.RecordBatch, metadata: dict[bytes, bytes]) -> None:
    """Write one stream of one batch."""
    batch = batch.replace_schema_metadata(metadata)
    with ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    out.flush()


def _part(part: str | Piece) -> dict[str, object]:
    if isinstance(part, str):
        return {"text": part}
    return {"kind": part.kind, "data" if isinstance(part.value, bytes) else "address": part.value}


@lru_cache(maxsize=4)
def _template(text: str) -> Template:
    return Template(text)


if __name__ == "__main__":
    main()
