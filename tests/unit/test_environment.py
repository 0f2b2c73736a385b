"""Environment variables have one table, and a wrong one is told by its name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import nightbatch
from nightbatch import environment
from nightbatch.errors import SettingsError
from nightbatch.submit.decide import SubmitTiming, submit_timing
from nightbatch.wait.pace import poll_timing

PACKAGE = Path(nightbatch.__path__[0])
DOCS = PACKAGE.parents[1] / "docs"
NAME = re.compile(r"NIGHTBATCH_[A-Z0-9_]+")


def test_no_other_module_names_a_variable() -> None:
    elsewhere = [
        f"{file.relative_to(PACKAGE)}: {node.value}"
        for file in PACKAGE.rglob("*.py")
        if file.name != "environment.py" and "local" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and NAME.fullmatch(str(node.value))
    ]
    assert elsewhere == []


def test_every_variable_has_a_meaning_and_a_default() -> None:
    names = {
        value
        for name, value in vars(environment).items()
        if name.isupper() and NAME.fullmatch(str(value))
    }
    prefixes = {environment.SUBMIT_PREFIX, environment.POLL_PREFIX}
    assert names - prefixes == environment.VARIABLES.keys()
    assert all(
        variable.meaning and variable.default
        for variable in environment.VARIABLES.values()
    )


def test_every_variable_of_a_deployment_is_documented() -> None:
    pages = "".join(
        page.read_text() for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
    )
    hidden = {environment.FAILPOINTS}
    assert [
        name for name in environment.VARIABLES.keys() - hidden if name not in pages
    ] == []


def test_a_time_of_a_deployment_overrides_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIGHTBATCH_SEND_SECONDS", " 12.5 ")
    monkeypatch.setenv("NIGHTBATCH_POLL_GONE_SECONDS", "4")
    assert submit_timing() == SubmitTiming(send=12.5)
    assert poll_timing().gone == 4


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "12s"])
def test_what_is_no_number_of_seconds_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("NIGHTBATCH_LEASE_SECONDS", text)
    with pytest.raises(SettingsError, match="NIGHTBATCH_LEASE_SECONDS"):
        submit_timing()


def test_importing_the_package_reads_no_file_and_no_environment() -> None:
    reads = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in PACKAGE.rglob("*.py")
        if not {"local", "emulator"} & set(file.parts)
        for node in _at_import(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "read_text", "read_bytes", "getenv"}
    ]
    assert reads == []


def _at_import(tree: ast.Module) -> list[ast.AST]:
    """List what is evaluated when a module is imported: nothing within functions."""
    nodes = list[ast.AST]()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        nodes.append(node)
        waiting.extend(ast.iter_child_nodes(node))
    return nodes
