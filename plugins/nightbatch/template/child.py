"""The process that renders templates which may need any amount of memory: it has a limit, and may be killed.

It reads Arrow streams of rows from standard input and answers each with a stream of prompts. `python -m` starts it.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa
from pyarrow import ipc

from nightbatch.errors import TemplateError
from nightbatch.template.language.failures import TimeLimit
from nightbatch.template.media import Piece
from nightbatch.template.rendering import Compiled
from nightbatch.template.template import Template

if TYPE_CHECKING:
    from io import BufferedReader

EXTRA_BYTES = 1024**3
"""Memory that rendering may take beyond what the process has when it starts."""
ROW_SECONDS = 5.0
"""Of the processor's time for one row: a loop over 10,000 items takes some hundredths."""
STUCK_SECONDS = 20.0
"""Of the processor's time, after which the process ends: a single step of a row cannot be interrupted."""
ANSWER_BYTES = 256 * 1024 * 1024
"""Of what a batch of rows is rendered to: no request can be larger than this (`max_batch_bytes`)."""
COPIES = 6
"""Both limits grow by this many times the bytes of the rows: a row can be large, and the answer holds its images."""
PART = pa.struct([("text", pa.large_string()), ("piece", pa.int32())])
PIECE = pa.struct(
    [("kind", pa.string()), ("address", pa.large_string()), ("data", pa.large_binary())]
)
PROMPTS = pa.schema([("parts", pa.large_list(PART)), ("pieces", pa.large_list(PIECE))])
"""What each row is rendered to: texts and numbers of pieces in turn, and the pieces, each once."""
TEMPLATE = b"template"
CUT = b"cut"
ERROR = b"error"
UNREADABLE = b"unreadable"
Prompt = Sequence[str | Piece]
Row = dict[str, object]
_MEMORY_STATUS = Path("/proc/self/statm")
"""Where Linux says how many pages of memory the process has."""


def main() -> None:
    """Answer until standard input ends."""
    signal.signal(signal.SIGVTALRM, _interrupt)
    start_bytes = _memory_bytes()
    requests = cast("BufferedReader", sys.stdin.buffer)
    answers = sys.stdout.buffer
    largest_batch_bytes = 0
    while requests.peek(1):
        _limit(sys.maxsize)
        batch = _read_batch(requests)
        batch_bytes = batch.nbytes
        largest_batch_bytes = max(largest_batch_bytes, batch_bytes)
        if start_bytes:
            row_bytes = COPIES * largest_batch_bytes
            limit_bytes = start_bytes + EXTRA_BYTES + row_bytes
            _limit(limit_bytes)
        write(answers, *answer(batch))


def _interrupt(_: int, frame: object) -> None:
    raise TimeLimit


def restart_timer() -> None:
    """Let what follows take ROW_SECONDS; what cannot be interrupted ends the process after STUCK_SECONDS."""
    signal.setitimer(signal.ITIMER_VIRTUAL, ROW_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, STUCK_SECONDS)


def stop_timer() -> None:
    """End both limits."""
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.setitimer(signal.ITIMER_PROF, 0)


@dataclass(frozen=True)
class TimedTemplate(Template):
    """A template whose every row has a limit of time."""

    @cached_property
    def _renderer(self) -> Compiled:
        return Compiled(self.program, restart_timer)


def _memory_bytes() -> int:
    """Return the address space that the process has; 0 where the system does not say."""
    if not _MEMORY_STATUS.exists():
        return 0
    page_count = int(_MEMORY_STATUS.read_text().split()[0])
    return page_count * resource.getpagesize()


def _read_batch(stream: BinaryIO) -> pa.RecordBatch:
    """Read one Arrow stream as one batch."""
    with ipc.open_stream(stream) as reader:
        table = reader.read_all()
    one_chunk_table = table.combine_chunks()
    batches = one_chunk_table.to_batches()
    if not batches:
        schema = table.schema
        return pa.RecordBatch.from_pylist([], schema=schema)
    (batch,) = batches
    return batch


def _limit(memory_bytes: int) -> None:
    """Let the process have this many bytes of memory, or as many as its own hard limit allows."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    if hard_limit != resource.RLIM_INFINITY:
        memory_bytes = min(memory_bytes, hard_limit)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, hard_limit))


def answer(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[bytes, bytes]]:
    """Render a batch with the template in its schema's metadata."""
    no_prompts = pa.RecordBatch.from_pylist([], schema=PROMPTS)
    metadata = batch.schema.metadata
    rows = batch.replace_schema_metadata(None)
    try:
        template = _template(metadata[TEMPLATE].decode())
        prompts = _prompts(template, rows, cut=metadata[CUT] == b"1")
        stop_timer()
        prompt_rows = [_row(prompt) for prompt in prompts]
        rendered = pa.RecordBatch.from_pylist(prompt_rows, schema=PROMPTS)
        check_size(rendered.nbytes, batch.nbytes)
    except TemplateError as error:
        return no_prompts, {ERROR: str(error).encode()}
    except UnicodeError:
        return no_prompts, {UNREADABLE: b"1"}
    finally:
        stop_timer()
    return rendered, {}


def _prompts(
    template: Template, rows: pa.RecordBatch, *, cut: bool
) -> Sequence[Prompt]:
    """Render one prompt for each row; `cut`: as texts, images and documents in turn, else as one text."""
    if cut:
        return template.cut(rows)
    prompts = template.render(rows)
    texts = prompts.to_pylist()
    return [[text] for text in texts]


def check_size(answer_bytes: int, row_bytes: int) -> None:
    """Refuse an answer that is too large for its rows."""
    if answer_bytes > ANSWER_BYTES + COPIES * row_bytes:
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


def _row(prompt: Prompt) -> Row:
    piece_numbers = dict[Piece, int]()
    parts = list[Row]()
    for part in prompt:
        if isinstance(part, str):
            parts.append({"text": part})
        else:
            next_number = len(piece_numbers)
            number = piece_numbers.setdefault(part, next_number)
            parts.append({"piece": number})
    pieces = [_piece_row(piece) for piece in piece_numbers]
    return {"parts": parts, "pieces": pieces}


def _piece_row(piece: Piece) -> Row:
    value_field = "data" if isinstance(piece.value, bytes) else "address"
    return {"kind": piece.kind, value_field: piece.value}


@lru_cache(maxsize=4)
def _template(text: str) -> Template:
    return TimedTemplate(text)


if __name__ == "__main__":
    main()
