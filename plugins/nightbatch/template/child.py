"""The process that renders templates which may need any amount of memory: it has a limit, and may be killed.

It reads Arrow streams of rows from standard input and answers each with a stream of prompts. `python -m` starts it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa
from pyarrow import ipc

from nightbatch.errors import TemplateError
from nightbatch.template.media import Piece
from nightbatch.template.template import Template

if TYPE_CHECKING:
    from io import BufferedReader

EXTRA_BYTES = 1024**3
"""Memory that rendering may take beyond what the process has when it starts."""
ANSWER_BYTES = 256 * 1024 * 1024
"""Of what a batch of rows is rendered to: no request can be larger than this (`max_batch_bytes`)."""
COPIES = 6
"""How many times the bytes of the rows both may be exceeded: a row can be large, and its images stand in the answer."""
PART = pa.struct([("text", pa.large_string()), ("piece", pa.int32())])
PIECE = pa.struct(
    [("kind", pa.string()), ("address", pa.large_string()), ("data", pa.large_binary())]
)
PROMPTS = pa.schema([("parts", pa.large_list(PART)), ("pieces", pa.large_list(PIECE))])
"""What each row is rendered to: texts and numbers of pieces in turn, and the pieces, each once."""
TEMPLATE, CUT, ERROR, UNREADABLE = b"template", b"cut", b"error", b"unreadable"


def main() -> None:
    """Answer until standard input ends."""
    pages = (
        int(Path("/proc/self/statm").read_text().split()[0])
        if Path("/proc/self/statm").exists()
        else 0
    )
    questions = cast("BufferedReader", sys.stdin.buffer)
    largest = 0
    while questions.peek(1):
        _limit(sys.maxsize)
        with ipc.open_stream(questions) as reader:
            rows = reader.read_all().combine_chunks()
        (batch,) = rows.to_batches() or [
            pa.RecordBatch.from_pylist([], schema=rows.schema)
        ]
        largest = max(largest, batch.nbytes)
        if pages:
            _limit(pages * resource.getpagesize() + EXTRA_BYTES + COPIES * largest)
        write(sys.stdout.buffer, *answer(batch))


def _limit(size: int) -> None:
    """Let the process have this many bytes of memory, if whoever started it lets it."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS,
        (size if most == resource.RLIM_INFINITY else min(size, most), most),
    )


def answer(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[bytes, bytes]]:
    """Render a batch by what its schema's metadata say."""
    metadata = batch.schema.metadata
    template = _template(metadata[TEMPLATE].decode())
    rows = batch.replace_schema_metadata(None)
    try:
        prompts = (
            template.cut(rows)
            if metadata[CUT] == b"1"
            else [[text] for text in template.render(rows).to_pylist()]
        )
        answered = pa.RecordBatch.from_pylist(
            [_row(prompt) for prompt in prompts], schema=PROMPTS
        )
        check_size(answered.nbytes, batch.nbytes)
        return answered, {}
    except TemplateError as error:
        return pa.RecordBatch.from_pylist([], schema=PROMPTS), {
            ERROR: str(error).encode()
        }
    except UnicodeError:
        return pa.RecordBatch.from_pylist([], schema=PROMPTS), {UNREADABLE: b"1"}


def check_size(answered: int, asked: int) -> None:
    """Refuse an answer that is too large for the rows that were asked about."""
    if answered > ANSWER_BYTES + COPIES * asked:
        raise TemplateError(
            f"prompt: a batch of rows is rendered to more than {ANSWER_BYTES // 1024**2} MB. "
            "Let the template repeat and join less."
        )


def write(out: BinaryIO, batch: pa.RecordBatch, metadata: dict[bytes, bytes]) -> None:
    """Write one stream of one batch."""
    batch = batch.replace_schema_metadata(metadata)
    with ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    out.flush()


def _row(prompt: Sequence[str | Piece]) -> dict[str, object]:
    numbers = dict[Piece, int]()
    parts = [
        {"text": part}
        if isinstance(part, str)
        else {"piece": numbers.setdefault(part, len(numbers))}
        for part in prompt
    ]
    pieces = [
        {
            "kind": piece.kind,
            "data" if isinstance(piece.value, bytes) else "address": piece.value,
        }
        for piece in numbers
    ]
    return {"parts": parts, "pieces": pieces}


@lru_cache(maxsize=4)
def _template(text: str) -> Template:
    return Template(text)


if __name__ == "__main__":
    main()
