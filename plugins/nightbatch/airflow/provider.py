"""What `airflow providers list` shows of an installed nightbatch: the entry point `apache_airflow_provider`."""

from __future__ import annotations

from typing import Any

_NAME = "nightbatch"
_FOLDER = "nightbatch.airflow"
_MODULES = {
    "operators": ("approve", "land", "load", "prepare", "publish", "submit"),
    "sensors": ("batch", "input", "run"),
    "triggers": ("batch", "input", "kill", "later", "room", "run"),
}


def provider_info() -> dict[str, Any]:
    """Return the provider's description, in the form of Airflow's `provider_info.schema.json`."""
    integration = {
        "integration-name": _NAME,
        "external-doc-url": "https://platform.claude.com/docs/en/build-with-claude/batch-processing",
        "tags": ["ai"],
    }
    modules = {
        kind: [{"integration-name": _NAME, "python-modules": _paths(kind)}]
        for kind in _MODULES
    }
    return {
        "package-name": _NAME,
        "name": _NAME,
        "description": "Nightly Claude message batches over Parquet: operators, sensors and triggers.",
        "integrations": [integration],
        **modules,
    }


def _paths(kind: str) -> list[str]:
    """Return the modules that define the operators, sensors or triggers."""
    return [f"{_FOLDER}.{kind}.{module}" for module in _MODULES[kind]]
