"""The prompt cache: which prefix of a prompt is written, which is read, at what emulated moment."""

from dataclasses import dataclass
from hashlib import blake2b

from nightbatch.emulator.answers.models import Model
from nightbatch.emulator.answers.prompt import Prompt
from nightbatch.emulator.answers.usage import Usage

LIFE = {"5m": 300.0, "1h": 3_600.0}


@dataclass(slots=True)
class _Entry:
    readable_from: float
    expires_at: float


class PromptCache:
    """Entries by model, variant and prefix. An entry can be read once the answer that wrote it has begun."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}

    def clear(self) -> None:
        self._entries.clear()

    def charge(
        self,
        model: Model,
        prompt: Prompt,
        variant: bytes,
        *,
        starts: float,
        begins: float,
    ) -> Usage:
        """Return the prompt's tokens by how they are paid.

        The request starts at `starts` and its answer begins at `begins`, in emulated seconds. `variant` is what makes
        another entry of the same text: thinking, effort, output format.
        """
        usage = Usage(input=prompt.tokens)
        last = max(
            (place for place, part in enumerate(prompt.parts) if part.ttl is not None),
            default=-1,
        )
        digest, size, counted = (
            blake2b(variant + model.id.encode(), digest_size=16),
            0,
            0,
        )
        written: list[tuple[bytes, str, int]] = []
        for part in prompt.parts[: last + 1]:
            digest.update(part.content())
            size += part.tokens
            if part.ttl is None or size < model.cacheable:
                continue
            key = digest.digest()
            if self._read(key, starts, LIFE[part.ttl]):
                written, usage.read = [], size
            else:
                written.append((key, part.ttl, size - counted))
            counted = size
        self._write(written, usage, begins)
        usage.input -= counted
        return usage

    def _read(self, key: bytes, now: float, life: float) -> bool:
        entry = self._entries.get(key)
        if entry is None or not entry.readable_from <= now < entry.expires_at:
            return False
        entry.expires_at = max(entry.expires_at, now + life)
        return True

    def _write(
        self, written: list[tuple[bytes, str, int]], usage: Usage, begins: float
    ) -> None:
        for key, ttl, size in written:
            if ttl == "1h":
                usage.written_1h += size
            else:
                usage.written_5m += size
            old = self._entries.get(key)
            readable = (
                min(begins, old.readable_from)
                if old is not None and old.expires_at > begins
                else begins
            )
            self._entries[key] = _Entry(readable, begins + LIFE[ttl])
