"""Imports point inward: the core and the steps know neither Airflow nor an SDK."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

FORBIDDEN = ("airflow", "anthropic", "boto3", "botocore", "httpx", "httpx2", "pydantic", "requests", "aiohttp")
CODE = """
import importlib, pkgutil, sys
package = importlib.import_module({package!r})
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print([name for name in {forbidden!r} if name in sys.modules])
print(sorted(name for name in sys.modules if name.startswith("nightbatch.")))
"""


@pytest.mark.parametrize(("package", "may"), [("nightbatch.core", ("core",)), ("nightbatch.steps", ("core", "steps"))])
def test_a_layer_imports_what_lies_within_and_no_sdk(package: str, may: tuple[str, ...]) -> None:
    assert find_spec("airflow") is not None
    code = CODE.format(package=package, forbidden=FORBIDDEN)
    run = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    sdks, ours = run.stdout.splitlines()
    assert sdks == "[]"
    assert {name.split(".")[1] for name in ours.strip("[]").replace("'", "").split(", ")} == set(may)
