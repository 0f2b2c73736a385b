"""The policies of the documentation, read as IAM reads them, and enforced in front of an S3 server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.servers.proxy import Gate

FOLDER = Path(__file__).parents[4] / "docs" / "iam"
LIST = "s3:ListBucket"
Statement = dict[str, Any]


def read(name: str) -> dict[str, Any]:
    """Read one of the documents."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return document


@dataclass(frozen=True)
class Need:
    """The action that a call needs, the resource, and the prefix of a listing."""

    action: str
    resource: str
    prefix: str | None = None

    @property
    def place(self) -> str:
        """The resource, with the prefix of a listing."""
        if self.prefix is None:
            return self.resource
        return f"{self.resource}?prefix={self.prefix}"


class Policy(Gate):
    """One policy, and every call that was made under it."""

    def __init__(self, name: str) -> None:
        self.statements: list[Statement] = read(name)["Statement"]
        self.allowed: set[str] = set()
        self.refused: set[tuple[str, str]] = set()

    @property
    def actions(self) -> set[str]:
        """Return every action that the policy allows somewhere."""
        return {
            action for statement in self.statements for action in statement["Action"]
        }

    def permits(self, method: str, path: str) -> bool:
        """Tell whether a call to the S3 server is allowed, and remember it."""
        need = need_of(method, path)
        allowed = any(_allows(statement, need) for statement in self.statements)
        if allowed:
            self.allowed.add(need.action)
        else:
            self.refused.add((need.action, need.place))
        return allowed

    def shows_absence(self) -> bool:
        """Tell whether listing is allowed without a prefix: S3 says "denied" for an absent key otherwise."""
        return any(
            LIST in statement["Action"] and "Condition" not in statement
            for statement in self.statements
        )


def _allows(statement: Statement, need: Need) -> bool:
    if need.action not in statement["Action"]:
        return False
    if not _matches(need.resource, statement["Resource"]):
        return False
    condition = statement.get("Condition")
    if condition is None:
        return True
    prefixes = condition["StringLike"]["s3:prefix"]
    return need.prefix is not None and _matches(need.prefix, prefixes)


def _matches(text: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def need_of(method: str, path: str) -> Need:
    """Return what a call to the S3 server needs."""
    url = urlsplit(path)
    query = parse_qs(url.query, keep_blank_values=True)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    if key:
        action = _object_action(method, is_part="uploadId" in query)
        return Need(action, f"arn:aws:s3:::{bucket}/{key}")
    is_listing = method == "GET" and "list-type" in query
    action = LIST if is_listing else f"{method} of a bucket"
    prefix = query.get("prefix", [""])[0]
    return Need(action, f"arn:aws:s3:::{bucket}", prefix)


def _object_action(method: str, *, is_part: bool) -> str:
    if method == "DELETE":
        return "s3:AbortMultipartUpload" if is_part else "s3:DeleteObject"
    return "s3:GetObject" if method in {"GET", "HEAD"} else "s3:PutObject"
