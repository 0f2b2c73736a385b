"""Imports have one order, and what decides knows neither Airflow nor an SDK."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import nightbatch

PACKAGE = Path(nightbatch.__path__[0])
ORDER = (
    "wording", "amounts", "retrying", "deadlines", "errors", "ids", "environment", "failpoints", "ports", "columnar",
    "messages", "template", "spec", "ledger", "money", "prepare", "plan", "land", "submit", "wait", "publish", "load",
    "flow", "io", "airflow", "commands",
)  # fmt: skip
"""Each may import what stands before it. `land` stands before `submit`: a claim that is given up lands as lost."""
PURE = ORDER[: ORDER.index("io")]
APART = {"emulator", "local", "preload", "__init__", "__main__"}
SDKS = (
    "airflow",
    "anthropic",
    "boto3",
    "botocore",
    "httpx",
    "httpx2",
    "pydantic",
    "requests",
    "aiohttp",
)
MOST_FILES = 12
CODE = """
import importlib, pkgutil, sys
for name in {names!r}:
    module = importlib.import_module("nightbatch." + name)
    for part in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
        importlib.import_module(part.name)
print([name for name in {sdks!r} if name in sys.modules])
"""


def part_of(file: Path) -> str:
    """Name the folder or file below the package's root that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    """Name the parts of the package that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "nightbatch":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "nightbatch."
        ):
            yield str(node.module).split(".")[1]


def test_every_part_of_the_package_has_its_place_in_the_order() -> None:
    parts = {part_of(file) for file in PACKAGE.rglob("*.py")}
    assert parts - APART <= set(ORDER)


def test_no_import_runs_against_the_order() -> None:
    rank = {name: number for number, name in enumerate(ORDER)}
    against = [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file in PACKAGE.rglob("*.py")
        for name in imports(file)
        if part_of(file) in rank and name in rank and rank[name] > rank[part_of(file)]
    ]
    assert against == []


def test_what_decides_imports_no_sdk() -> None:
    assert find_spec("airflow") is not None
    names = [
        name
        for name in PURE
        if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
    ]
    code = CODE.format(names=names, sdks=SDKS)
    run = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_no_folder_hides_its_story_behind_more_than_a_dozen_files() -> None:
    folders = {file.parent for file in PACKAGE.rglob("*.py")}
    sizes = {
        folder.name: len(
            [file for file in folder.glob("*.py") if file.name != "__init__.py"]
        )
        for folder in folders
    }
    assert {name: size for name, size in sizes.items() if size > MOST_FILES} == {}


def test_every_folder_tells_its_story() -> None:
    for folder in {file.parent for file in PACKAGE.rglob("*.py")}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), (
            folder.name
        )
