"""What a DAG processor and a triggerer import for us stays small: heavy libraries wait until a task runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ["pyarrow", "numpy", "boto3", "anthropic", "minijinja", "jsonschema_rs", "pandas"]
LIST = f"""
import importlib, sys
import airflow.sdk, airflow.triggers.base, airflow.sdk.bases.operator
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print(*[name for name in {HEAVY} if name in sys.modules and name not in before])
"""


@pytest.mark.parametrize("module", ["nightbatch.dag"])
def test_what_a_dag_file_imports_brings_nothing_heavy(module: str) -> None:
    environment = {"PYTHONPATH": str(ROOT / "plugins"), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-c", LIST, module], capture_output=True, text=True, env=environment, check=True
    )
    assert ran.stdout.splitlines()[-1].split() == []
