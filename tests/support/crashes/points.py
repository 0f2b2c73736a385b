"""The failpoints, as the source names them: a point that is added is a point that is killed at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nightbatch


@cache
def points() -> tuple[str, ...]:
    """Name every failpoint of the package, in the order of modules and lines."""
    files = sorted(
        file for folder in nightbatch.__path__ for file in Path(folder).rglob("*.py")
    )
    texts = {file: file.read_text() for file in files}
    named = [
        point
        for file, text in texts.items()
        if "reach" in text
        for point in _points(file, text)
    ]
    return tuple(dict.fromkeys(named))


def _points(file: Path, text: str) -> Iterator[str]:
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: call.lineno):
        if isinstance(call.func, ast.Name) and call.func.id == "reach":
            assert isinstance(call.args[0], ast.Constant), (
                f"{file}: a failpoint's name is written out"
            )
            yield str(call.args[0].value)
