"""nightbatch: nightly Claude batches over Parquet, on Airflow.

The way of the data, one task for each word::

    source partition ─prepare→ rows + requests, staged
                     ─submit─→ what is pending is claimed in shards, each of which becomes a batch, once
                     ─wait───→ until all batches have ended, in the triggerer
                     ─land───→ answers · refusals · lost; what is lost is asked again
                     ─publish→ rows ⋈ answers → partition, report, asset event

A request is named by its content, so that `pending = asked − settled − in flight` is all the logic there is.
The folders are the words of this story, in its order; each one's docstring tells its part. What they decide on, and
how facts are kept and priced, stands in `spec`, `messages`, `columnar`, `template`, `ledger` and `money`. `io` holds
the SDKs, `airflow` what Airflow runs, `commands` the command line. `emulator` and `local` are an account and a cluster
to try it on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightbatch.airflow.dag import enrich
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
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that no part pays for another's imports."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nightbatch' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
