"""Text as JSON strings, a column at a time: the bytes that msgspec writes, without a Python object a row.

JSON escapes 34 characters, each of them one byte of UTF-8: the quote, the backslash and those below the space.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BACKSLASH, _QUOTE, _SPACE = b'\\" '
_ESCAPED = {
    code: msgspec.json.encode(chr(code))[1:-1]
    for code in (_BACKSLASH, _QUOTE, *range(_SPACE))
}
_MARK, _NOTHING = pa.scalar(b'"', pa.large_binary()), pa.scalar(b"", pa.large_binary())


def quoted(texts: pa.Array) -> pa.Array:
    """Encode texts (large_string, valid UTF-8, none null) as JSON strings (large_binary)."""
    made = texts.cast(pa.large_binary())
    for code in _met(made):
        made = pc.replace_substring(made, bytes([code]), _ESCAPED[code])
    return pc.binary_join_element_wise(_MARK, made, _MARK, _NOTHING)


def buffer(texts: pa.Array) -> tuple[memoryview, np.ndarray]:
    """Return the bytes of a large_string or large_binary array, and where each value begins; the last one's end too."""
    _, offsets, data = texts.buffers()
    return memoryview(data or b""), np.frombuffer(offsets, np.int64)[
        texts.offset : texts.offset + len(texts) + 1
    ]


def _met(texts: pa.Array) -> list[int]:
    """Name the characters in some text that JSON escapes; the backslash first, since escapes bring more of them."""
    data, starts = buffer(texts)
    found = np.frombuffer(data, np.uint8)[starts[0] : starts[-1]]
    low = np.bincount(np.compress(found < _SPACE, found), minlength=_SPACE)
    return [
        code for code in (_BACKSLASH, _QUOTE) if (found == code).any()
    ] + np.flatnonzero(low).tolist()
