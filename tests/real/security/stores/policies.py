"""The policies of the documentation, read as IAM reads them, and enforced in front of an S3 server."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.servers.proxy import Gate

FOLDER = Path(__file__).parents[4] / "docs" / "iam"
LIST = "s3:ListBucket"


def read(name: str) -> dict[str, Any]:
    """Read one of the documents."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return document


class Policy(Gate):
    """One policy, and every call that was made under it."""

    def __init__(self, name: str) -> None:
        self.statements: list[dict[str, Any]] = read(name)["Statement"]
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
        action, resource, prefix = action_of(method, path)
        allowed = self._allows(action, resource, prefix)
        if allowed:
            self.allowed.add(action)
        else:
            self.refused.add(
                (action, resource if prefix is None else f"{resource}?prefix={prefix}")
            )
        return allowed

    def shows_absence(self) -> bool:
        """Tell whether listing is allowed without a prefix: S3 says "denied" for an absent key otherwise."""
        return any(
            LIST in statement["Action"] and "Condition" not in statement
            for statement in self.statements
        )

    def _allows(self, action: str, resource: str, prefix: str | None) -> bool:
        return any(
            action in statement["Action"]
            and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
            and _holds(statement.get("Condition"), prefix)
            for statement in self.statements
        )


def _holds(condition: dict[str, Any] | None, prefix: str | None) -> bool:
    if condition is None:
        return True
    patterns: list[str] = condition["StringLike"]["s3:prefix"]
    return prefix is not None and any(
        fnmatchcase(prefix, pattern) for pattern in patterns
    )


def action_of(method: str, path: str) -> tuple[str, str, str | None]:
    """Return the action that a call needs, the resource, and the prefix of a listing."""
    url = urlsplit(path)
    query = parse_qs(url.query, keep_blank_values=True)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    if not key:
        known = method == "GET" and "list-type" in query
        return (
            LIST if known else f"{method} of a bucket",
            f"arn:aws:s3:::{bucket}",
            query.get("prefix", [""])[0],
        )
    if method == "DELETE":
        action = "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"
    else:
        action = "s3:GetObject" if method in {"GET", "HEAD"} else "s3:PutObject"
    return action, f"arn:aws:s3:::{bucket}/{key}", None
