"""Request ids as the API knows them: a column of 20 bytes becomes one of 40 hex digits, and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.ids import ID_BYTES

_DIGITS = np.frombuffer(bytes(range(256)).hex().encode(), dtype=np.uint16)
"""The two digits of each byte."""
_NO_DIGIT = 16
_VALUES = np.full(256, _NO_DIGIT, dtype=np.uint8)
_VALUES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def custom_ids(ids: pa.Array) -> pa.Array:
    """Print binary(20) as strings; null stays null."""
    whole = pc.fill_null(ids, bytes(ID_BYTES)) if ids.null_count else ids
    first, last = whole.offset * ID_BYTES, (whole.offset + len(whole)) * ID_BYTES
    digits = _DIGITS[np.frombuffer(whole.buffers()[1] or b"", np.uint8)[first:last]]
    offsets = np.arange(
        0, 2 * ID_BYTES * (len(whole) + 1), 2 * ID_BYTES, dtype=np.int32
    )
    printed = pa.StringArray.from_buffers(
        len(whole), pa.py_buffer(offsets), pa.py_buffer(digits)
    )
    return pc.if_else(ids.is_valid(), printed, None) if ids.null_count else printed


def ids_of(names: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Read strings as ids: return which of them (by position) are 40 hex digits in small letters, and those ids."""
    long = np.flatnonzero(
        np.asarray(
            pc.fill_null(
                pc.equal(pc.binary_length(names), 2 * ID_BYTES), fill_value=False
            )
        )
    )
    some = names if len(long) == len(names) else names.take(pa.array(long))
    first, last = (
        int(np.frombuffer(some.buffers()[1], np.int32)[some.offset + at])
        for at in (0, len(some))
    )
    values = _VALUES.take(np.frombuffer(some.buffers()[2] or b"", np.uint8)[first:last])
    raw = (values[::2] << 4 | values[1::2]).reshape(-1, ID_BYTES)
    odd = np.flatnonzero(values == _NO_DIGIT) // (2 * ID_BYTES)
    if len(odd):
        long, raw = np.delete(long, odd), np.delete(raw, odd, axis=0)
    return long, pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(ID_BYTES), len(raw), [None, pa.py_buffer(raw)]
    )
