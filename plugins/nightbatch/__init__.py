"""nightbatch: nightly Claude batches over Parquet, on Airflow.

The flow of the data, one task for each step::

    source partition ─prepare→ rows + requests, staged
                     ─submit─→ pending requests are claimed in shards; each shard becomes a batch, once
                     ─wait───→ until all batches have ended, in the triggerer
                     ─land───→ answers · refusals · lost; lost requests are sent again
                     ─publish→ rows ⋈ answers → partition, report, asset event

The id of a request is the hash of its content, so that `pending = asked − settled − in flight` is all the logic.
Each step has a folder of its name, whose docstring describes it. The other folders: `spec`, `messages`, `columnar`,
`template`, `ledger` and `money` hold what the steps decide on, and how facts are kept and priced; `io` holds the SDKs,
`airflow` what Airflow runs, and `commands` the command line. `emulator` and `local` are an account and a cluster for
trying it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightbatch.airflow.dag import enrich
    from nightbatch.airflow.form import form_params
    from nightbatch.airflow.operators.load import LoadOperator
    from nightbatch.airflow.sensors.batch import BatchSensor
    from nightbatch.airflow.sensors.input import InputSensor
    from nightbatch.load.loading import Loading
    from nightbatch.spec.enrichment import Enrichment, Prompt

__all__ = [
    "BatchSensor",
    "Enrichment",
    "InputSensor",
    "LoadOperator",
    "Loading",
    "Prompt",
    "enrich",
    "form_params",
]
__version__ = "0.1.0"

_HOMES = {
    "BatchSensor": "nightbatch.airflow.sensors.batch",
    "Enrichment": "nightbatch.spec.enrichment",
    "InputSensor": "nightbatch.airflow.sensors.input",
    "LoadOperator": "nightbatch.airflow.operators.load",
    "Loading": "nightbatch.load.loading",
    "Prompt": "nightbatch.spec.enrichment",
    "enrich": "nightbatch.airflow.dag",
    "form_params": "nightbatch.airflow.form",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that no part loads the imports of another."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nightbatch' has no attribute {name!r}")
    from importlib import import_module

    home_module = import_module(_HOMES[name])
    return getattr(home_module, name)
