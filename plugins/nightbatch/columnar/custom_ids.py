"""Request ids as the API knows them: a column of 20 bytes becomes one of 40 hex digits, and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.ids import ID_BYTES

_ID_DIGITS = 2 * ID_BYTES
_DIGITS = np.frombuffer(bytes(range(256)).hex().encode(), dtype=np.uint16)
"""The two digits of each byte."""
_NO_DIGIT = 16
_VALUES = np.full(256, _NO_DIGIT, dtype=np.uint8)
_VALUES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def custom_ids(ids: pa.Array) -> pa.Array:
    """Print binary(20) as strings; null stays null."""
    has_nulls = ids.null_count > 0
    filled_ids = pc.fill_null(ids, bytes(ID_BYTES)) if has_nulls else ids
    id_count = len(filled_ids)
    hex_digits = _DIGITS[_id_bytes(filled_ids)]
    end_offset = _ID_DIGITS * (id_count + 1)
    offsets = np.arange(0, end_offset, _ID_DIGITS, dtype=np.int32)
    printed_ids = pa.StringArray.from_buffers(
        id_count, pa.py_buffer(offsets), pa.py_buffer(hex_digits)
    )
    if not has_nulls:
        return printed_ids
    return pc.if_else(ids.is_valid(), printed_ids, None)


def _id_bytes(ids: pa.Array) -> np.ndarray:
    """View the bytes of ids, without a copy."""
    _, data_buffer = ids.buffers()
    data_bytes = np.frombuffer(data_buffer or b"", np.uint8)
    first_byte = ids.offset * ID_BYTES
    end_byte = first_byte + len(ids) * ID_BYTES
    return data_bytes[first_byte:end_byte]


def ids_of(names: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Read strings as ids: return which of them (by position) are 40 hex digits in small letters, and those ids."""
    positions = _rows_of_id_length(names)
    is_whole_column = len(positions) == len(names)
    candidates = names if is_whole_column else names.take(pa.array(positions))
    digit_values = _VALUES.take(_text_bytes(candidates))
    raw_ids = _joined_digits(digit_values)
    invalid_rows = np.flatnonzero(digit_values == _NO_DIGIT) // _ID_DIGITS
    if len(invalid_rows):
        positions = np.delete(positions, invalid_rows)
        raw_ids = np.delete(raw_ids, invalid_rows, axis=0)
    id_buffers = [None, pa.py_buffer(raw_ids)]
    ids = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(ID_BYTES), len(raw_ids), id_buffers
    )
    return positions, ids


def _rows_of_id_length(names: pa.Array) -> np.ndarray:
    """Return the positions of the strings that are as long as a printed id."""
    has_id_length = pc.equal(pc.binary_length(names), _ID_DIGITS)
    length_mask = pc.fill_null(has_id_length, fill_value=False)
    return np.flatnonzero(np.asarray(length_mask))


def _text_bytes(texts: pa.Array) -> np.ndarray:
    """View the bytes of all strings, one after another, without a copy."""
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)
    first_byte = int(offsets[texts.offset])
    end_byte = int(offsets[texts.offset + len(texts)])
    data_bytes = np.frombuffer(data_buffer or b"", np.uint8)
    return data_bytes[first_byte:end_byte]


def _joined_digits(digit_values: np.ndarray) -> np.ndarray:
    """Join each two hex digits into a byte, and the bytes into rows of one id each."""
    high_digits = digit_values[::2]
    low_digits = digit_values[1::2]
    joined_bytes: np.ndarray = high_digits << 4 | low_digits
    return joined_bytes.reshape(-1, ID_BYTES)
