"""The failpoints, as the source names them: a point that is added is a point that is killed at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import nightbatch


def points() -> list[str]:
    """Name every failpoint of the package, in the order of modules and lines."""
    files = sorted(
        file for folder in nightbatch.__path__ for file in Path(folder).rglob("*.py")
    )
    return list(dict.fromkeys(point for file in files for point in _points(file)))


def _points(file: Path) -> Iterator[str]:
    calls = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]
    for call in sorted(calls, key=lambda call: call.lineno):
        if isinstance(call.func, ast.Name) and call.func.id == "reach":
            assert isinstance(call.args[0], ast.Constant), (
                f"{file}: a failpoint's name is written out"
            )
            yield str(call.args[0].value)
