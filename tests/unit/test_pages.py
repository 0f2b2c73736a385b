"""README and the pages of docs/ name only what is there: files, folders, modules, commands, targets of make."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from pkgutil import iter_modules, resolve_name

import pytest
from tests.support.pages import ROOT, blocks

from nightbatch import commands, errors

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PACKAGE = ROOT / "plugins" / "nightbatch"
PLACES = (ROOT, PACKAGE, PACKAGE.parent, ROOT / "tests")
"""What a path on a page may start from."""
SNAPSHOT_PROPERTIES = {
    f"nightbatch.{name}" for name in ("columns", "partition", "profile", "report")
}
"""Properties of an Iceberg snapshot, which look like modules."""

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"(?:[\w.]+/)+[\w.-]+\.(?:py|json|md|sql)")
_TEST_FILE = re.compile(r"test_\w+\.py")
_MODULE = re.compile(r"nightbatch(?:\.\w+)+")
_RUN_MODULE = re.compile(r"python -m (nightbatch[\w.]*)")
_COMMAND = re.compile(r"python -m nightbatch (\w+)|`nightbatch (\w+)")
_FIRST_CELL = re.compile(r"^\| `(.*?)` \| `", re.MULTILINE)
_TARGET = re.compile(r"^make ([a-z-]+)|`make ([a-z-]+)", re.MULTILINE)

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(ROOT))
)


@each_page
def test_every_relative_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    links = _LINK.findall(page.read_text())
    assert [link for link in links if not _leads_somewhere(page, link)] == []


@each_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    names = [name for name in _code(page) if _FILE.fullmatch(name)]
    own_names = _saved_by_the_reader()
    assert [
        name
        for name in names
        if name not in own_names
        and not any((place / name).exists() for place in PLACES)
    ] == []


@each_page
def test_every_test_file_that_is_named_exists(page: Path) -> None:
    names = {name for name in _code(page) if _TEST_FILE.fullmatch(name)}
    test_files = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert names - test_files == set()


@each_page
def test_every_module_that_is_named_can_be_imported(page: Path) -> None:
    names = {name for name in _code(page) if _MODULE.fullmatch(name)}
    for name in names - SNAPSHOT_PROPERTIES:
        resolve_name(name)
    for module in _RUN_MODULE.findall(page.read_text()):
        assert find_spec(module), module


@each_page
def test_every_command_and_every_target_of_make_exists(page: Path) -> None:
    text = page.read_text()
    command_names = {module.name for module in iter_modules(commands.__path__)}
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    assert _words(_COMMAND, text) - command_names == set()
    assert _words(_TARGET, text) - targets == set()


def test_readme_names_every_folder_of_the_package_and_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    folders = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    pages = [path.name for path in (ROOT / "docs").glob("*.md")]
    assert [
        name for name in folders if f"(plugins/nightbatch/{name})" not in text
    ] == []
    assert [name for name in pages if f"(docs/{name})" not in text] == []


def test_every_class_of_errors_is_on_the_page_of_failures() -> None:
    text = (ROOT / "docs" / "why-did-my-run-fail.md").read_text()
    names = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.NightbatchError)
    ]
    assert {kind.__name__ for kind in errors.FINAL} <= set(names)
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_message_on_the_page_of_failures_is_one_of_ours() -> None:
    text = (ROOT / "docs" / "why-did-my-run-fail.md").read_text()
    messages = _FIRST_CELL.findall(text)
    texts = list(chain.from_iterable(map(_texts, PACKAGE.rglob("*.py"))))
    assert len(messages) > len(errors.FINAL)
    assert [
        message for message in messages if not any(message in text for text in texts)
    ] == []


def _texts(file: Path) -> Iterator[str]:
    """Yield the texts of a module, with `…` in the place of what an f-string fills in."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            text = "".join(map(_part, node.values))
            yield re.sub("…+", "…", text)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def _leads_somewhere(page: Path, link: str) -> bool:
    """Return whether a link's file exists and has the heading that the link names, if it names one."""
    file_name, _, anchor = link.partition("#")
    file = page.parent / file_name if file_name else page
    if not file.exists():
        return False
    return not anchor or anchor in map(_anchor, _HEADING.findall(file.read_text()))


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    letters = re.sub(r"[^\w\- ]", "", heading.lower())
    return letters.replace(" ", "-")


def _code(page: Path) -> list[str]:
    return _CODE.findall(page.read_text())


def _words(pattern: re.Pattern[str], text: str) -> set[str]:
    return set(chain.from_iterable(pattern.findall(text))) - {""}


def _saved_by_the_reader() -> set[str]:
    """Return the files that the reader of the first page writes."""
    page_blocks = blocks(ROOT / "docs" / "first-dag.md")
    return {
        block.text.splitlines()[0].removeprefix("# ")
        for block in page_blocks
        if block.language == "python"
    }
