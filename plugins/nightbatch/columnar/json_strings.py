"""Text as JSON strings, a column at a time: the bytes that msgspec writes, without a Python object a row.

JSON escapes 34 characters, each of them one byte of UTF-8: the quote, the backslash and those below the space.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BACKSLASH = ord("\\")
_QUOTE = ord('"')
_SPACE = ord(" ")
_ESCAPED = {
    code: msgspec.json.encode(chr(code))[1:-1]
    for code in (_BACKSLASH, _QUOTE, *range(_SPACE))
}
_MARK = pa.scalar(b'"', pa.large_binary())
_NOTHING = pa.scalar(b"", pa.large_binary())


def json_quoted(texts: pa.Array) -> pa.Array:
    """Encode texts (large_string, valid UTF-8, none null) as JSON strings (large_binary)."""
    escaped_texts = texts.cast(pa.large_binary())
    for code in _codes_to_escape(escaped_texts):
        character = bytes([code])
        escaped_texts = pc.replace_substring(escaped_texts, character, _ESCAPED[code])
    return pc.binary_join_element_wise(_MARK, escaped_texts, _MARK, _NOTHING)


def buffer(texts: pa.Array) -> tuple[memoryview, np.ndarray]:
    """Return the bytes of a large_string or large_binary array, and where each value begins; the last one's end too."""
    _, offset_buffer, data_buffer = texts.buffers()
    data = memoryview(data_buffer or b"")
    all_offsets = np.frombuffer(offset_buffer, np.int64)
    end_place = texts.offset + len(texts) + 1
    return data, all_offsets[texts.offset : end_place]


def _codes_to_escape(texts: pa.Array) -> list[int]:
    """Name the characters in these texts that JSON escapes; the backslash first, since escapes add backslashes."""
    data, starts = buffer(texts)
    all_bytes = np.frombuffer(data, np.uint8)
    text_bytes = all_bytes[starts[0] : starts[-1]]
    control_bytes = np.compress(text_bytes < _SPACE, text_bytes)
    control_counts = np.bincount(control_bytes, minlength=_SPACE)
    codes = list[int]()
    for code in (_BACKSLASH, _QUOTE):
        if (text_bytes == code).any():
            codes.append(code)
    codes += np.flatnonzero(control_counts).tolist()
    return codes
