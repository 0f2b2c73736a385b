"""The statements that put a staged partition into a table: make it fit, replace or merge, count.

Only SQL that DuckDB and PostgreSQL both speak. Values travel as parameters or by COPY, never inside a statement.
"""
# ruff: noqa: S608  identifiers are quoted, values are parameters

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nightbatch.errors import TargetError
from nightbatch.load.loading import Loading
from nightbatch.load.sql_types import both
from nightbatch.load.warehouse import HOLE, PARTITION, STAGED, Statement


def quoted(name: str) -> str:
    """Quote the name of a table; a dot stands between schema and table."""
    return ".".join(column(part) for part in name.split("."))


def column(name: str) -> str:
    """Quote the name of a column."""
    return '"' + name.replace('"', '""') + '"'


def evolve(
    table: str, present: Mapping[str, str], staged: Mapping[str, str]
) -> list[Statement]:
    """Make the table fit the staged rows: create it, add columns, widen types. Columns are never dropped.

    Raises TargetError where a type has changed into one that does not hold the old values.
    """
    if not present:
        schema = table.rpartition(".")[0]
        homes = (
            [Statement(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")]
            if schema
            else []
        )
        return [
            *homes,
            Statement(
                f"CREATE TABLE {quoted(table)} AS SELECT * FROM {STAGED} WHERE false"
            ),
        ]
    changes, spelt = [], {name.lower(): name for name in present}
    for name, kind in staged.items():
        if name not in present:
            if other := spelt.get(name.lower()):
                raise TargetError(
                    f"table {table}: column {name!r} stands there as {other!r}; rename one of them."
                )
            changes.append(f"ADD COLUMN {column(name)} {kind}")
        elif (fits := both(present[name], kind)) is None:
            raise TargetError(
                f"table {table}: column {name!r} is {present[name]} but the partition's is {kind}. "
                "Nothing was loaded; publish it under another name, or alter the table."
            )
        elif fits.lower() != present[name].lower():
            changes.append(f"ALTER COLUMN {column(name)} TYPE {fits}")
    return [Statement(f"ALTER TABLE {quoted(table)} {change}") for change in changes]


def replacement(
    loading: Loading, partition: str, columns: Sequence[str]
) -> list[Statement]:
    """Put the staged rows in the place of what the table holds of this partition."""
    table, names = quoted(loading.table), ", ".join(column(name) for name in columns)
    own = Statement(f"DELETE FROM {table} WHERE {PARTITION} = {HOLE}", [partition])
    insert = f"INSERT INTO {table} ({names}) SELECT {names} FROM {STAGED}"
    if loading.mode == "replace":
        return [own, Statement(insert)]
    same = " AND ".join(f"s.{column(name)} = t.{column(name)}" for name in loading.key)
    staged = f"SELECT 1 FROM {STAGED} AS s WHERE {same}"
    older = (
        f"DELETE FROM {table} AS t WHERE t.{PARTITION} <= {HOLE} AND EXISTS ({staged})"
    )
    taken = f" AS s WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same})"
    return [own, Statement(older, [partition]), Statement(insert + taken)]


def tally(loading: Loading, partition: str) -> Statement:
    """Count the rows of the table that must now be as many as were published.

    Of a merge, those whose key is among the staged: a key that a newer partition holds counts as well.
    """
    table = quoted(loading.table)
    if loading.mode == "replace":
        return Statement(
            f"SELECT count(*) FROM {table} WHERE {PARTITION} = {HOLE}", [partition]
        )
    same = " AND ".join(f"s.{column(name)} = t.{column(name)}" for name in loading.key)
    return Statement(
        f"SELECT count(*) FROM {table} AS t WHERE EXISTS (SELECT 1 FROM {STAGED} AS s WHERE {same})"
    )


def distinct(loading: Loading) -> Statement:
    """Count the different keys among the staged rows."""
    names = ", ".join(column(name) for name in loading.key)
    return Statement(
        f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM {STAGED}) AS s"
    )
