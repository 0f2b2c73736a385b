"""What a DAG processor and a triggerer import for us stays small: heavy libraries wait until a task runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEAVY = [
    "pyarrow",
    "numpy",
    "boto3",
    "anthropic",
    "jsonschema_rs",
    "pandas",
]
FEW = 150
"""Modules that all DAG files together may add to Airflow's and pydantic's own; they are about 75."""
LIST = f"""
import runpy, sys
import airflow.sdk, airflow.triggers.base, pydantic, airflow.providers.standard.operators.hitl
airflow.sdk.Asset("s3://lake/")  # Airflow itself imports the provider to check the URL of an asset
before = set(sys.modules)
for path in sys.argv[1:]:
    runpy.run_path(path)
new = set(sys.modules) - before
print(len(new), *[name for name in {HEAVY} if name in new])
"""
LATE = """
import sys
import airflow.executors.local_executor
import nightbatch.preload
before = set(sys.modules)
import nightbatch.airflow.operators.approve, nightbatch.airflow.ports
from nightbatch.airflow import ports
from nightbatch.io import s3
from nightbatch.io.anthropic_sdk import batches as anthropic_api
from nightbatch.prepare import media_fetch, prepare
from nightbatch.land import land
from nightbatch.plan import offer, plan
from nightbatch.publish import publish
from nightbatch.submit import submit
import pyarrow.parquet, pyarrow.compute, pyarrow.fs
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.anthropic.hooks.anthropic import AnthropicHook
print(*sorted(set(sys.modules) - before))
"""


def python(code: str, *arguments: str) -> list[str]:
    """Run code in an interpreter of its own; return the words of the last line that it prints."""
    environment = {"PYTHONPATH": str(ROOT / "plugins"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=True
    )
    return (ran.stdout.splitlines() or [""])[-1].split()


def test_what_the_dag_files_import_brings_nothing_heavy_and_is_little() -> None:
    count, *heavy = python(LIST, *map(str, sorted(ROOT.glob("dags/*.py"))))
    assert heavy == []
    assert int(count) < FEW


def test_a_process_that_has_preloaded_leaves_its_tasks_nothing_to_import() -> None:
    assert python(LATE) == []
