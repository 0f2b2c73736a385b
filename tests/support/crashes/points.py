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
    files: list[Path] = []
    for folder in nightbatch.__path__:
        files += Path(folder).rglob("*.py")
    names: list[str] = []
    for file in sorted(files):
        text = file.read_text()
        if "reach" in text:
            names += _points(file, text)
    return tuple(dict.fromkeys(names))


def _points(file: Path, text: str) -> Iterator[str]:
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: call.lineno)
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "reach":
            name = call.args[0]
            assert isinstance(name, ast.Constant), (
                f"{file}: a failpoint's name is written out"
            )
            yield str(name.value)
