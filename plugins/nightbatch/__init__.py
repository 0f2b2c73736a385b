"""nightbatch: nightly Claude batches over Parquet, on Airflow.

The way of the data, one task for each word::

    source partition ─prepare→ rows + requests, staged
                     ─submit─→ what is pending is claimed in shards, each of which becomes a batch, once
                     ─wait───→ until all batches have ended, in the triggerer
                     ─land───→ answers · refusals · lost; what is lost is asked again
                     ─publish→ rows ⋈ answers → partition, report, asset event

A request is named by its content, so that `pending = asked − settled − in flight` is all the logic there is.
`core` decides, `io` acts, `steps` are the words over both, and the Airflow folders only translate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightbatch.core.enrichment import Enrichment, Prompt
    from nightbatch.dag import enrich

__all__ = ["Enrichment", "Prompt", "enrich"]
__version__ = "0.1.0"

_HOMES = {
    "Enrichment": "nightbatch.core.enrichment",
    "Prompt": "nightbatch.core.enrichment",
    "enrich": "nightbatch.dag",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that no part pays for another's imports."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nightbatch' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
