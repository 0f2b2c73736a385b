"""A warehouse in PostgreSQL: rows are loaded by COPY, nested columns as JSON."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from nightbatch.errors import TargetError, WarehouseRefused
from nightbatch.load.statements import column, sql_quoted
from nightbatch.load.warehouse import HOLE, PARTITION, STAGED, Statement
from nightbatch.messages.safe_words import printable

NUL = "\0"
NUL_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
SHOWN = ("08", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "56", "57", "58")
"""Classes of SQLSTATE whose message names objects or resources, never values: all others may quote rows."""
RAISED = "exec_stmt_raise"
"""The source that the server names for an error raised by a function or trigger, with any SQLSTATE and any words."""
NAMED = ("schema", "table", "column", "constraint")
_CSV = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
_KINDS = {
    pa.int8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "integer",
    pa.uint32(): "bigint",
    pa.uint64(): "numeric(20,0)",
    pa.float16(): "real",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.date64(): "date",
}


class PostgresWarehouse:
    """The database behind an open psycopg connection, of version 2 or 3, that is not on autocommit."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            # One load at a time: two that evolve one table at once would block each other for good.
            self._execute("SELECT pg_advisory_xact_lock(hashtext('nightbatch'))")
            yield
            self.connection.commit()
        except BaseException as error:
            if not getattr(self.connection, "closed", False):
                self.connection.rollback()
            if type(error).__module__.startswith("psycopg"):
                raise _refusal(error) from None
            raise

    def columns(self, table: str) -> dict[str, str]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                [sql_quoted(table)],
            )
            return dict(cursor.fetchall())

    def stage(self, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        definitions = [f"{column(field.name)} {kind_of(field)}" for field in schema]
        column_list = ", ".join(definitions)
        self._execute(f"DROP TABLE IF EXISTS pg_temp.{STAGED}")
        self._execute(f"CREATE TEMP TABLE {STAGED} ({column_list}) ON COMMIT DROP")
        copy_sql = f"COPY {STAGED} FROM STDIN (FORMAT csv)"
        row_count = 0
        with self.connection.cursor() as cursor:
            for row_batch in rows:
                row_count += row_batch.num_rows
                _copy(cursor, copy_sql, as_csv(row_batch))
        return row_count

    def run(self, statement: Statement) -> int:
        escaped_sql = statement.sql.replace("%", "%%")
        driver_sql = escaped_sql.replace(HOLE, "%s")
        with self.connection.cursor() as cursor:
            cursor.execute(driver_sql, list(statement.values))
            if not cursor.description:
                return 0
            first_row = cursor.fetchone()
            return int(first_row[0]) if first_row else 0

    def _execute(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)


def kind_of(field: pa.Field) -> str:
    """Name the PostgreSQL type of a column. Raises TargetError where it has none."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if kind in _KINDS:
        return _KINDS[kind]
    if _is_text(kind):
        return 'text COLLATE "C"' if field.name == PARTITION else "text"
    if pa.types.is_timestamp(kind):
        return "timestamp with time zone" if kind.tz else "timestamp without time zone"
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pa.types.is_nested(kind):
        return "jsonb"
    if _is_binary(kind):
        return "bytea"
    if pa.types.is_time(kind):
        return "time without time zone"
    raise TargetError(
        f"column {field.name!r} is {kind}, which PostgreSQL has no type for; leave it out of `keep`."
    )


def as_csv(rows: pa.RecordBatch) -> bytes:
    """Encode rows for COPY: all values are sql_quoted and nulls are not, so that an empty text differs from a null."""
    csv_columns = [_csv_column(values) for values in rows.columns]
    csv_rows = pa.RecordBatch.from_arrays(csv_columns, names=rows.schema.names)
    csv_file = io.BytesIO()
    pyarrow.csv.write_csv(csv_rows, csv_file, _CSV)
    return csv_file.getvalue()


def _csv_column(values: pa.Array) -> pa.Array:
    """Convert a column to a type that the CSV writer knows and that PostgreSQL reads back."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_nested(values.type):
        json_texts = [_json(value) for value in values.to_pylist()]
        values = pa.array(json_texts, pa.string())
    if _is_binary(values.type):
        hex_texts = [_hex(value) for value in values.to_pylist()]
        return pa.array(hex_texts, pa.string())
    if _is_text(values.type):
        texts = values.cast(pa.large_string())
        return pc.replace_substring(texts, NUL, NUL_REPLACEMENT)
    if pa.types.is_float16(values.type):
        return values.cast(pa.float32())
    return values


def _hex(value: bytes | None) -> str | None:
    """Encode bytes as bytea takes them."""
    return None if value is None else "\\x" + value.hex()


def _json(value: Any) -> str | None:
    """Encode as JSON that jsonb can hold, which does not take NUL."""
    if value is None:
        return None
    json_text = msgspec.json.encode(value).decode()
    return json_text.replace("\\u0000", NUL_REPLACEMENT)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _copy(cursor: Any, sql: str, data: bytes) -> None:
    if hasattr(cursor, "copy_expert"):
        cursor.copy_expert(sql, io.BytesIO(data))
        return
    with cursor.copy(sql) as copy:
        copy.write(data)


def _refusal(error: BaseException) -> WarehouseRefused:
    """Describe an error without values: a message may quote rows, and what a trigger raises may be a row."""
    error_name = type(error).__name__
    sql_state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if not sql_state:
        return WarehouseRefused(f"PostgreSQL: {error_name}{_driver_words(error)}")
    diagnosis = getattr(error, "diag", None)
    details = _safe_details(sql_state, diagnosis)
    parts = [f"PostgreSQL: {error_name} ({sql_state})", *details]
    return WarehouseRefused(", ".join(parts))


def _driver_words(error: BaseException) -> str:
    """Return the words of an error of the driver itself: only those of a lost connection never quote what was sent."""
    is_lost_connection = type(error).__name__ in ("OperationalError", "InterfaceError")
    if not is_lost_connection:
        return "."
    return f": {printable(str(error).strip())}"


def _safe_details(sql_state: str, diagnosis: Any) -> Iterator[str]:
    """Name the objects that an error is about, and give its message where that cannot hold values."""
    if getattr(diagnosis, "source_function", None) == RAISED:
        return
    for object_kind in NAMED:
        object_name = getattr(diagnosis, f"{object_kind}_name", None)
        if object_name:
            yield f"{object_kind} {object_name!r}"
    is_within_function = bool(getattr(diagnosis, "context", None))
    if sql_state.startswith(SHOWN) and not is_within_function:
        yield printable(str(getattr(diagnosis, "message_primary", "")))
