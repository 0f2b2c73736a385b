"""What an installed nightbatch must do, run by the Python of an environment that has the wheel and no source tree.

It imports every module, is listed by Airflow, runs a whole flow over a store in memory and the local API, and says
what a cluster lacks here, since no environment has that extra.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

NEEDS_MORE = {
    "nightbatch.airflow.lineage": "airflow.providers.openlineage",
    "nightbatch.emulator.fixtures": "pytest",
}
"""Modules that are imported only where this package asks for them."""
SHOWN = (
    "apache-airflow",
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-anthropic",
    "anthropic",
    "boto3",
    "pyarrow",
    "pydantic",
    "numpy",
)
TARGET = "s3://lake/answers/"


def import_everything() -> int:
    """Import every module of the package, from where it is installed; return how many there are."""
    import nightbatch

    assert Path(nightbatch.__file__).is_relative_to(sys.prefix), nightbatch.__file__
    names = [
        module.name
        for module in pkgutil.walk_packages(nightbatch.__path__, "nightbatch.")
        if not module.name.endswith("__main__")
    ]
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != NEEDS_MORE.get(name):
                raise
    return len(names)


def be_listed() -> None:
    """Find the package among Airflow's providers, with operators that exist."""
    from airflow.providers_manager import ProvidersManager

    from nightbatch.airflow.provider import provider_info

    assert "nightbatch" in ProvidersManager().providers
    for kind in ("operators", "sensors", "triggers"):
        (entry,) = provider_info()[kind]
        for module in entry["python-modules"]:
            importlib.import_module(module)


def run_a_flow() -> int:
    """Enrich twelve rows with the installed SDK over HTTP; return how many were answered."""
    import anthropic
    import pyarrow as pa
    import pyarrow.parquet as pq

    from nightbatch import Enrichment
    from nightbatch.emulator.embedded import running
    from nightbatch.flow import World, run
    from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
    from nightbatch.io.memory import MemoryBucket, MemoryStore

    bucket = MemoryBucket()

    def open_store(url: str) -> Any:
        return MemoryStore(url, bucket)

    rows = pa.table({"id": list(range(12)), "text": [f"text {n}" for n in range(12)]})
    file = io.BytesIO()
    pq.write_table(rows, file)
    open_store("s3://lake/texts/").create("part-0.parquet", file.getvalue())
    asked = Enrichment(
        source="s3://lake/texts/", target=TARGET, key=["id"], prompt="Sum up: {{ text }}",
        model="claude-haiku-4-5", max_tokens=50, poll_seconds=1,
    )  # fmt: skip
    with running() as emulator:
        client = anthropic.Anthropic(api_key="sk-ant-check", base_url=emulator.url)
        world = World(open_store=open_store, api=AnthropicBatches(client))
        report = run(asked, world, "check")
        books = emulator.books()
    published = [url for url in bucket.urls_below(TARGET) if url.endswith(".parquet")]
    table = pq.read_table(io.BytesIO(bucket.objects[published[0]]))
    assert table["id"].to_pylist() == list(range(12))
    assert all(table["answer"].to_pylist())
    assert books["bought"]["requests"] == report["bought"] == 12
    return int(report["answered"])


def miss_the_cluster() -> None:
    """Start a cluster without its extra: the command says what to install."""
    command = [sys.executable, "-m", "nightbatch.local", "cluster", "--home", "cluster"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended
    assert "pip install 'nightbatch[cluster]'" in ended.stdout, ended


def main() -> None:
    """Check, and print what was installed."""
    modules = import_everything()
    be_listed()
    miss_the_cluster()
    answered = run_a_flow()
    versions = " ".join(f"{name}={version(name)}" for name in SHOWN)
    print(f"modules={modules} answered={answered} {versions}")


if __name__ == "__main__":
    main()
