"""The tokens of one answer, or the sum of many, and how they look on the wire."""

import math
from dataclasses import dataclass

from nightbatch.emulator.wire import Json


@dataclass(slots=True)
class AnswerUsage:
    """Token counts. A prompt is what was plain input, what was written to the cache and what was read from it."""

    input: int = 0
    written_5m: int = 0
    written_1h: int = 0
    read: int = 0
    output: int = 0

    def prompt(self) -> int:
        return self.input + self.written_5m + self.written_1h + self.read

    def add(self, other: "AnswerUsage") -> None:
        self.input += other.input
        self.written_5m += other.written_5m
        self.written_1h += other.written_1h
        self.read += other.read
        self.output += other.output

    def wire(self, geo: str) -> Json:
        """Return the `usage` object of a message answered in a batch."""
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.written_5m + self.written_1h,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
            "output_tokens": self.output,
            "service_tier": "batch",
            "inference_geo": geo,
        }


def tokens(text: str) -> int:
    """Estimate the tokens of a text: one for every four characters, and one for every character beyond Latin script."""
    byte_count = len(text) if text.isascii() else len(text.encode())
    return tokens_of_size(len(text), byte_count)


def tokens_of_size(character_count: int, byte_count: int) -> int:
    """Estimate the tokens of a text by its characters and by its bytes in UTF-8."""
    extra_bytes = byte_count - character_count
    quarter_tokens = character_count + 2 * extra_bytes
    return math.ceil(quarter_tokens / 4)
