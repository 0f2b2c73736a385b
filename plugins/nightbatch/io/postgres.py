"""A warehouse in PostgreSQL: rows travel by COPY, nested columns as JSON."""

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
from nightbatch.load.statements import column, quoted
from nightbatch.load.warehouse import HOLE, PARTITION, STAGED, Statement
from nightbatch.messages.safe_words import printable

NUL, INSTEAD = "\0", "\N{REPLACEMENT CHARACTER}"
SHOWN = ("08", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "56", "57", "58")
"""Classes of SQLSTATE whose message names objects or resources, never values: all others may quote rows."""
RAISED = "exec_stmt_raise"
"""Where the server says an error comes from that a function or trigger raised, with any SQLSTATE and any words."""
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
                raise _told(error) from None
            raise

    def columns(self, table: str) -> dict[str, str]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                [quoted(table)],
            )
            return dict(cursor.fetchall())

    def stage(self, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        columns = ", ".join(
            f"{column(field.name)} {kind_of(field)}" for field in schema
        )
        self._execute(f"DROP TABLE IF EXISTS pg_temp.{STAGED}")
        self._execute(f"CREATE TEMP TABLE {STAGED} ({columns}) ON COMMIT DROP")
        count = 0
        with self.connection.cursor() as cursor:
            for batch in rows:
                count += batch.num_rows
                _copy(cursor, f"COPY {STAGED} FROM STDIN (FORMAT csv)", as_csv(batch))
        return count

    def run(self, statement: Statement) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(
                statement.sql.replace("%", "%%").replace(HOLE, "%s"),
                list(statement.values),
            )
            answer = cursor.fetchone() if cursor.description else None
            return int(answer[0]) if answer else 0

    def _execute(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)


def kind_of(field: pa.Field) -> str:
    """Name the PostgreSQL type of a column. Raises TargetError where it has none."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
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
    """Encode rows for COPY: every value quoted, so that an empty text is none of the nulls, which are not."""
    out = io.BytesIO()
    arrays = [_written(column) for column in rows.columns]
    pyarrow.csv.write_csv(
        pa.RecordBatch.from_arrays(arrays, names=rows.schema.names), out, _CSV
    )
    return out.getvalue()


def _written(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type):
        column = pa.array([_json(value) for value in column.to_pylist()], pa.string())
    if _is_binary(column.type):
        return pa.array(
            [None if one is None else "\\x" + one.hex() for one in column.to_pylist()],
            pa.string(),
        )
    if _is_text(column.type):
        return pc.replace_substring(column.cast(pa.large_string()), NUL, INSTEAD)
    return column.cast(pa.float32()) if pa.types.is_float16(column.type) else column


def _json(value: Any) -> str | None:
    """Encode as JSON that jsonb can hold, which knows no NUL."""
    return (
        None
        if value is None
        else msgspec.json.encode(value).decode().replace("\\u0000", INSTEAD)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def _is_binary(kind: pa.DataType) -> bool:
    fixed = pa.types.is_fixed_size_binary(kind)
    return bool(
        fixed
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


def _told(error: BaseException) -> WarehouseRefused:
    """Name what failed by what holds no values: a message may quote rows, and what a trigger raises may be a row."""
    diagnosis = getattr(error, "diag", None)
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    kind = type(error).__name__
    if not code:  # of the driver itself: only a lost connection is described by it without what was sent
        lost = kind in ("OperationalError", "InterfaceError")
        return WarehouseRefused(
            f"PostgreSQL: {kind}"
            + (f": {printable(str(error).strip())}" if lost else ".")
        )
    parts = [f"PostgreSQL: {kind} ({code})"]
    if getattr(diagnosis, "source_function", None) != RAISED:
        parts += [
            f"{name} {value!r}"
            for name in NAMED
            if (value := getattr(diagnosis, f"{name}_name", None))
        ]
        if code.startswith(SHOWN) and not getattr(
            diagnosis, "context", None
        ):  # else it is a function's own statement
            parts.append(printable(str(getattr(diagnosis, "message_primary", ""))))
    return WarehouseRefused(", ".join(parts))
