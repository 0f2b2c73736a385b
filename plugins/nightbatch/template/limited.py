"""Rendering under limits: a template that may need any amount of memory is rendered in a process of its own.

Most templates only insert values and check conditions: what they print is about as long as their input
(`template/growth.py` says which). Others join, repeat and collect text, and a few lines of that exhaust any machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from nightbatch.errors import TemplateError
from nightbatch.template.child import (
    CUT,
    ERROR,
    TEMPLATE,
    UNREADABLE,
    check_size,
    write,
)
from nightbatch.template.growth import is_bounded
from nightbatch.template.media import Piece
from nightbatch.template.template import Template

SECONDS = 120.0
"""Within which a batch of rows must be rendered: an ordinary one takes less than one second."""
QUESTION_BYTES = 32 * 1024 * 1024
"""Of values: about this much is rendered at a time, and at least one row."""
ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Arrow's own allocator would reserve a gigabyte for itself, and so use up what the limit allows."""

Row = dict[str, Any]
"""One row of the answer, such as `child.PROMPTS` describes it."""


def limited(template: Template) -> Template:
    """Return the template, or one of the same text that is rendered under limits where it may grow without end."""
    return template if is_bounded(template) else LimitedTemplate(template.text)


@dataclass(frozen=True)
class LimitedTemplate(Template):
    """A template that a child process renders. Raises TemplateError where that takes too much memory or time."""

    def render(self, rows: pa.RecordBatch) -> pa.Array:
        """Render one prompt (large_string) for each row."""
        texts = [_text(row) for row in self._rows(rows, b"0")]
        return pa.array(texts, pa.large_string())

    def cut(self, rows: pa.RecordBatch) -> list[list[str | Piece]]:
        """Render one prompt for each row, as texts, images and documents in turn."""
        return [_parts(row) for row in self._rows(rows, b"1")]

    @cached_property
    def _child(self) -> Child:
        return Child()

    def _rows(self, rows: pa.RecordBatch, cut: bytes) -> Iterator[Row]:
        column_names = [name for name in rows.schema.names if name in self.columns]
        needed_columns = rows.select(column_names)
        request_metadata = {TEMPLATE: self.text.encode(), CUT: cut}
        row_count = rows.num_rows
        needed_bytes = needed_columns.nbytes
        rows_that_fit = QUESTION_BYTES * row_count // max(1, needed_bytes)
        step_rows = max(1, rows_that_fit)
        answer_bytes = 0
        for start in range(0, max(1, row_count), step_rows):
            request_rows = needed_columns.slice(start, step_rows)
            request_count = min(step_rows, row_count - start)
            answered = self._child.ask(request_rows, request_metadata, request_count)
            answer_bytes += answered.nbytes
            check_size(answer_bytes, needed_bytes)
            _raise_reported(answered)
            yield from answered.to_pylist()


class Child:
    """The process: started with the first request, and ended with this object."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(
        self, rows: pa.RecordBatch, metadata: dict[bytes, bytes], count: int
    ) -> pa.Table:
        """Have rows rendered. Raises TemplateError where that ends the process or takes too long."""
        if not rows.num_columns:
            rows = pa.record_batch({"": pa.nulls(count)})
        with self._lock:
            process = self._started()
            timer = threading.Timer(SECONDS, process.kill)
            timer.start()
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                write(process.stdin, rows, metadata)  # type: ignore[arg-type]
                with ipc.open_stream(process.stdout) as reader:
                    return reader.read_all()
            except (OSError, pa.ArrowException):
                self.close()
                raise TemplateError(
                    "prompt: rendering a batch of rows took more than a gigabyte of memory, two minutes, or 20 "
                    "seconds for one row. Let the template collect, repeat and join less."
                ) from None
            finally:
                timer.cancel()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nightbatch.template.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **ENVIRONMENT},
            )
        return self._process

    def close(self) -> None:
        """End the process; the next request starts another."""
        process = self._process
        self._process = None
        if process is not None:
            process.kill()
            process.communicate()

    def __del__(self) -> None:
        self.close()


def _raise_reported(answered: pa.Table) -> None:
    """Raise the error that the process reports in the metadata of its answer, if any."""
    metadata = answered.schema.metadata or {}
    if ERROR in metadata:
        message = metadata[ERROR].decode()
        raise TemplateError(message)
    if UNREADABLE in metadata:
        raise UnicodeError


def _text(row: Row) -> str:
    return "".join(part["text"] for part in row["parts"])


def _parts(row: Row) -> list[str | Piece]:
    """Put the images and documents of a row where their numbers are."""
    pieces = [_piece(piece_row) for piece_row in row["pieces"]]
    parts = list[str | Piece]()
    for part in row["parts"]:
        piece_number = part["piece"]
        if piece_number is None:
            parts.append(part["text"])
        else:
            parts.append(pieces[piece_number])
    return parts


def _piece(piece_row: Row) -> Piece:
    data = piece_row["data"]
    value = piece_row["address"] if data is None else data
    return Piece(piece_row["kind"], value)
