"""An emulator's files: bodies, result lines, indexes and a journal, in a temporary folder or a chosen one."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from nightbatch.emulator.batches.timeline import BatchId
from nightbatch.emulator.wire import Json

JOURNAL = "journal.jsonl"
_OURS = {".body", ".lines", ".index", ".incoming", ".half"}


class Store:
    """Files of one emulator. Without a directory of its own it uses a temporary one, gone when it is closed."""

    def __init__(self, root: Path | None) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._journal: BinaryIO | None = None
        if root is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="message-batches-")
            self.root = Path(self._temporary.name)
        else:
            self.root = root
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._is_ours():
            self.root.chmod(0o700)
        if root is not None:
            self._journal = (root / JOURNAL).open("ab")

    def _is_ours(self) -> bool:
        """Tell whether the folder holds nothing but files of an emulator: only then are its permissions changed."""
        return all(
            path.suffix in _OURS or path.name == JOURNAL for path in self.root.iterdir()
        )

    def incoming(self) -> Path:
        return self.root / f"{uuid4().hex}.incoming"

    def body(self, batch: BatchId) -> Path:
        return self.root / f"{batch}.body"

    def lines(self, batch: BatchId) -> Path:
        return self.root / f"{batch}.lines"

    def index(self, batch: BatchId) -> Path | None:
        """Return where a batch's answers are indexed; None where nothing is kept after the process ends."""
        return None if self._journal is None else self.root / f"{batch}.index"

    def note(self, event: Mapping[str, Any]) -> None:
        """Append a fact to the journal; a process killed right after has not lost it."""
        if self._journal is not None:
            self._journal.write(json.dumps(event).encode() + b"\n")
            self._journal.flush()

    def events(self) -> Iterator[Json]:
        """Yield the facts that earlier processes wrote; a last line cut short by a kill is removed."""
        if self._journal is None:
            return
        journal_file = self.root / JOURNAL
        journal_bytes = journal_file.read_bytes()
        whole_bytes = journal_bytes.rfind(b"\n") + 1
        whole_lines = journal_bytes[:whole_bytes]
        self._journal.truncate(whole_bytes)
        yield from map(json.loads, whole_lines.splitlines())

    def clear(self) -> None:
        """Forget everything."""
        for path in self.root.iterdir():
            if path.suffix in _OURS:
                path.unlink()
        if self._journal is not None:
            self._journal.truncate(0)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
        if self._temporary is not None:
            self._temporary.cleanup()
