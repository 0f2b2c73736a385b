"""Facts may be read by many threads at once, also the first of their kind."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nightbatch
from nightbatch import ledger
from nightbatch.ledger.facts import Fact

PACKAGE = Path(nightbatch.__path__[0])
MANY_FIRST_READERS = """
import sys, threading
from dataclasses import dataclass
from nightbatch.ledger.facts import Claim, Fact

sys.setswitchinterval(1e-6)
THREADS = 8
claim = '{"snapshot": "s", "buyer": "b", "scope": "", "target": "t", "partition": "p", "attempt": 1, "total": 1,'
claim += '"size": 1, "created_at": "2026-01-01T00:00:00Z", "token": "t"}'
body = ('{"claim": %s}' % claim).encode()

def read(fact_class, start):
    start.wait()
    fact_class.from_json(body)

for _ in range(300):
    claim_class = dataclass(frozen=True)(type("OfOneRound", (Claim,), {"__module__": "__main__"}))
    fact_class = dataclass(frozen=True)(
        type("Holder", (Fact,), {"__module__": "__main__", "__annotations__": {"claim": claim_class}})
    )
    fact_class.learn()
    start = threading.Barrier(THREADS)
    readers = [threading.Thread(target=read, args=(fact_class, start)) for _ in range(THREADS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
"""


def fact_classes() -> Iterator[type[Fact]]:
    """Name all kinds of facts."""
    for module in pkgutil.walk_packages(ledger.__path__, f"{ledger.__name__}."):
        importlib.import_module(module.name)
    yield from Fact.__subclasses__()


def typed_decodings(file: Path) -> Iterator[int]:
    """Return the lines that decode as a type that is named in the call, and so may be learned there."""
    calls = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]
    for call in calls:
        names_type = any(keyword.arg == "type" for keyword in call.keywords)
        if names_type and ast.unparse(call.func).endswith(".decode"):
            yield call.lineno


def test_every_kind_of_fact_is_learned_when_it_is_imported() -> None:
    unlearned = [
        fact_class.__name__
        for fact_class in fact_classes()
        if "__msgspec_cache__" not in vars(fact_class)
    ]
    assert unlearned == []


def test_no_type_is_learned_by_the_thread_that_decodes_first() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line in typed_decodings(file)
    ]
    assert found == []


def test_what_is_learned_is_read_by_many_threads_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_FIRST_READERS],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
