"""The prompt cache: which prefix of a prompt is written, which is read, at what emulated moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from nightbatch.emulator.answers.models import Model
from nightbatch.emulator.answers.prompt import Part, Prompt
from nightbatch.emulator.answers.usage import AnswerUsage

LIFE = {"5m": 300.0, "1h": 3_600.0}


@dataclass(slots=True)
class _Entry:
    readable_from: float
    expires_at: float


class Breakpoint(NamedTuple):
    """A place in a prompt up to which it is cached. `tokens` are those of the whole prefix, `key` is its hash."""

    key: bytes
    ttl: str
    tokens: int


class _NewEntry(NamedTuple):
    key: bytes
    ttl: str
    tokens: int


def breakpoints_of(model: Model, prompt: Prompt, variant: bytes) -> list[Breakpoint]:
    """Return a prompt's breakpoints, but for those before the least tokens that the model caches.

    `variant` is what makes another entry of the same text: thinking, effort, output format.
    """
    prefix_digest = blake2b(variant + model.id.encode(), digest_size=16)
    prefix_tokens = 0
    breakpoints = []
    for part in _parts_to_last_breakpoint(prompt):
        prefix_digest.update(part.content())
        prefix_tokens += part.tokens
        if part.ttl is not None and prefix_tokens >= model.cacheable:
            key = prefix_digest.digest()
            breakpoints.append(Breakpoint(key, part.ttl, prefix_tokens))
    return breakpoints


class PromptCache:
    """Entries by model, variant and prefix. An entry can be read once the answer that wrote it has begun."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}

    def clear(self) -> None:
        self._entries.clear()

    def charge(
        self,
        prompt_tokens: int,
        breakpoints: Iterable[Breakpoint],
        *,
        starts: float,
        begins: float,
    ) -> AnswerUsage:
        """Return a prompt's tokens by how they are paid.

        The request starts at `starts` and its answer begins at `begins`, in emulated seconds.
        """
        usage = AnswerUsage(input=prompt_tokens)
        cached_tokens = 0
        new_entries: list[_NewEntry] = []
        for key, ttl, prefix_tokens in breakpoints:
            if self._read(key, starts, LIFE[ttl]):
                new_entries = []
                usage.read = prefix_tokens
            else:
                new_tokens = prefix_tokens - cached_tokens
                new_entries.append(_NewEntry(key, ttl, new_tokens))
            cached_tokens = prefix_tokens
        self._write(new_entries, usage, begins)
        usage.input -= cached_tokens
        return usage

    def _read(self, key: bytes, now: float, life: float) -> bool:
        entry = self._entries.get(key)
        if entry is None:
            return False
        is_readable = entry.readable_from <= now < entry.expires_at
        if is_readable:
            expires_at = now + life
            entry.expires_at = max(entry.expires_at, expires_at)
        return is_readable

    def _write(
        self, new_entries: list[_NewEntry], usage: AnswerUsage, begins: float
    ) -> None:
        for new_entry in new_entries:
            if new_entry.ttl == "1h":
                usage.written_1h += new_entry.tokens
            else:
                usage.written_5m += new_entry.tokens
            readable_from = self._readable_from(new_entry.key, begins)
            expires_at = begins + LIFE[new_entry.ttl]
            self._entries[new_entry.key] = _Entry(readable_from, expires_at)

    def _readable_from(self, key: bytes, begins: float) -> float:
        """Return when an entry can be read: with the answer that writes it, or earlier if it exists already."""
        old_entry = self._entries.get(key)
        if old_entry is None or old_entry.expires_at <= begins:
            return begins
        return min(begins, old_entry.readable_from)


def _parts_to_last_breakpoint(prompt: Prompt) -> list[Part]:
    """Return the parts that are cached: none of those after the last breakpoint."""
    cached_count = 0
    for part_number, part in enumerate(prompt.parts, 1):
        if part.ttl is not None:
            cached_count = part_number
    return prompt.parts[:cached_count]
