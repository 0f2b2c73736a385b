"""The SQL statements that load a staged partition into a table: alter the table, replace or merge rows, count them.

Uses only SQL that DuckDB and PostgreSQL both support. Values are sent as parameters or by COPY, never in a statement.
"""
# ruff: noqa: S608  identifiers are quoted, values are parameters

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nightbatch.errors import TargetError
from nightbatch.load.loading import Loading
from nightbatch.load.sql_types import both
from nightbatch.load.warehouse import HOLE, PARTITION, STAGED, Statement

ColumnTypes = Mapping[str, str]
"""The types of a table's columns, by their names."""
_OF_PARTITION = f"{PARTITION} = {HOLE}"
"""The condition that a row is of the partition that is loaded."""
_NOT_NEWER = f"t.{PARTITION} <= {HOLE}"
"""The condition that a row `t` is of that partition or an older one."""


def sql_quoted(name: str) -> str:
    """Quote the name of a table; a dot separates schema and table."""
    return ".".join(column(part) for part in name.split("."))


def column(name: str) -> str:
    """Quote the name of a column."""
    return '"' + name.replace('"', '""') + '"'


def evolve(
    table: str, present_types: ColumnTypes, staged_types: ColumnTypes
) -> list[Statement]:
    """Make the table fit the staged rows: create it, add columns, widen types. Columns are never dropped.

    Raises TargetError if a type has changed into one that does not hold the old values.
    """
    if not present_types:
        return _creation(table)
    present_names = {name.lower(): name for name in present_types}
    changes: list[str] = []
    for name, staged_type in staged_types.items():
        present_type = present_types.get(name)
        if present_type is not None:
            change = _type_change(table, name, present_type, staged_type)
        else:
            change = _new_column(table, name, staged_type, present_names)
        if change:
            changes.append(change)
    return [
        Statement(f"ALTER TABLE {sql_quoted(table)} {change}") for change in changes
    ]


def _creation(table: str) -> list[Statement]:
    """Create an empty table with the columns of the staged one, and its schema where it names one."""
    empty_copy = f"SELECT * FROM {STAGED} WHERE false"
    create_table = Statement(f"CREATE TABLE {sql_quoted(table)} AS {empty_copy}")
    schema = table.rpartition(".")[0]
    if not schema:
        return [create_table]
    create_schema = Statement(f"CREATE SCHEMA IF NOT EXISTS {sql_quoted(schema)}")
    return [create_schema, create_table]


def _new_column(
    table: str, name: str, staged_type: str, present_names: Mapping[str, str]
) -> str:
    """Return the clause that adds a column. `present_names`: the table's columns by their names in lower case."""
    other_name = present_names.get(name.lower())
    if other_name:
        raise TargetError(
            f"table {table}: column {name!r} exists there as {other_name!r}; rename one of them."
        )
    return f"ADD COLUMN {column(name)} {staged_type}"


def _type_change(
    table: str, name: str, present_type: str, staged_type: str
) -> str | None:
    """Return the clause that widens a column; None if its type holds the staged values already."""
    common_type = both(present_type, staged_type)
    if common_type is None:
        raise TargetError(
            f"table {table}: column {name!r} is {present_type} but the partition's is {staged_type}. "
            "Nothing was loaded; publish it under another name, or alter the table."
        )
    if common_type.lower() == present_type.lower():
        return None
    return f"ALTER COLUMN {column(name)} TYPE {common_type}"


def replacement(
    loading: Loading, partition: str, columns: Sequence[str]
) -> list[Statement]:
    """Replace the table's rows of this partition with the staged rows; merge them by key where the mode says so."""
    table = sql_quoted(loading.table)
    column_list = _column_list(columns)
    insert = f"INSERT INTO {table} ({column_list}) SELECT {column_list} FROM {STAGED}"
    delete_partition = Statement(
        f"DELETE FROM {table} WHERE {_OF_PARTITION}",
        [partition],
    )
    if loading.mode == "replace":
        insert_all = Statement(insert)
        return [delete_partition, insert_all]
    staged_match = _staged_match(loading)
    delete_older = Statement(
        f"DELETE FROM {table} AS t WHERE {_NOT_NEWER} AND EXISTS ({staged_match})",
        [partition],
    )
    same_key = _same_key(loading)
    table_match = f"SELECT 1 FROM {table} AS t WHERE {same_key}"
    insert_absent = Statement(f"{insert} AS s WHERE NOT EXISTS ({table_match})")
    return [delete_partition, delete_older, insert_absent]


def tally(loading: Loading, partition: str) -> Statement:
    """Count the table's rows that must now equal the number of published rows.

    For a merge, these are the rows whose key is staged: a key that a newer partition holds counts as well.
    """
    table = sql_quoted(loading.table)
    if loading.mode == "replace":
        count_partition = f"SELECT count(*) FROM {table} WHERE {_OF_PARTITION}"
        return Statement(count_partition, [partition])
    staged_match = _staged_match(loading)
    count_keys = f"SELECT count(*) FROM {table} AS t WHERE EXISTS ({staged_match})"
    return Statement(count_keys)


def distinct(loading: Loading) -> Statement:
    """Count the different keys among the staged rows."""
    key_list = _column_list(loading.key)
    keys = f"SELECT DISTINCT {key_list} FROM {STAGED}"
    return Statement(f"SELECT count(*) FROM ({keys}) AS s")


def _staged_match(loading: Loading) -> str:
    """Return the query for a staged row with the key of a row `t` of the table."""
    return f"SELECT 1 FROM {STAGED} AS s WHERE {_same_key(loading)}"


def _column_list(names: Sequence[str]) -> str:
    return ", ".join(column(name) for name in names)


def _same_key(loading: Loading) -> str:
    """Return the condition that a staged row `s` and a row `t` of the table have the same key."""
    comparisons = [f"s.{column(name)} = t.{column(name)}" for name in loading.key]
    return " AND ".join(comparisons)
