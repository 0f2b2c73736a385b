"""The values for the official Helm chart use keys that the chart has, with values that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.deploy import values

from nightbatch.submit.decide import SubmitTiming

# Read in chart/values.schema.json and chart/values.yaml of apache/airflow, chart 1.22.0 (its default is Airflow 3.2).
# A dict takes what Kubernetes or airflow.cfg takes: its own keys are not looked up here.
CHART: dict[str, type] = {
    "airflowVersion": str,
    "apiSecretKeySecretName": str,
    "apiServer.podDisruptionBudget.enabled": bool,
    "apiServer.replicas": int,
    "apiServer.resources": dict,
    "apiServer.serviceAccount.annotations": dict,
    "config": dict,
    "createUserJob.enabled": bool,
    "dagProcessor.enabled": bool,
    "dagProcessor.replicas": int,
    "dagProcessor.resources": dict,
    "dagProcessor.serviceAccount.annotations": dict,
    "dags.gitSync.branch": str,
    "dags.gitSync.enabled": bool,
    "dags.gitSync.knownHosts": str,
    "dags.gitSync.period": str,
    "dags.gitSync.ref": str,
    "dags.gitSync.repo": str,
    "dags.gitSync.sshKeySecret": str,
    "dags.gitSync.subPath": str,
    "dags.persistence.enabled": bool,
    "data.brokerUrlSecretName": str,
    "data.metadataSecretName": str,
    "databaseCleanup.enabled": bool,
    "databaseCleanup.retentionDays": int,
    "defaultAirflowRepository": str,
    "defaultAirflowTag": str,
    "env": list,
    "executor": str,
    "fernetKeySecretName": str,
    "jwtSecretName": str,
    "logs.persistence.enabled": bool,
    "postgresql.enabled": bool,
    "redis.enabled": bool,
    "scheduler.podDisruptionBudget.enabled": bool,
    "scheduler.replicas": int,
    "scheduler.resources": dict,
    "scheduler.serviceAccount.annotations": dict,
    "securityContexts.containers": dict,
    "securityContexts.pod": dict,
    "triggerer.persistence.enabled": bool,
    "triggerer.podDisruptionBudget.enabled": bool,
    "triggerer.replicas": int,
    "triggerer.resources": dict,
    "triggerer.serviceAccount.annotations": dict,
    "workers.celery.keda.cooldownPeriod": int,
    "workers.celery.keda.enabled": bool,
    "workers.celery.keda.maxReplicaCount": int,
    "workers.celery.keda.minReplicaCount": int,
    "workers.celery.persistence.enabled": bool,
    "workers.celery.podDisruptionBudget.config": dict,
    "workers.celery.podDisruptionBudget.enabled": bool,
    "workers.celery.resources": dict,
    "workers.celery.serviceAccount.annotations": dict,
    "workers.celery.serviceAccount.create": bool,
    "workers.celery.terminationGracePeriodSeconds": int,
    "workers.kubernetes.resources": dict,
    "workers.kubernetes.safeToEvict": bool,
    "workers.kubernetes.serviceAccount.annotations": dict,
    "workers.kubernetes.serviceAccount.create": bool,
    "workers.kubernetes.terminationGracePeriodSeconds": int,
}
NULLABLE = {"data.brokerUrlSecretName"}
FILES = ("values.yaml", "values-kubernetes.yaml")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|Ki|Mi|Gi)?")

each_file = pytest.mark.parametrize("name", FILES)


def leaves(content: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a file sets, by the path of its keys; a dict of the chart's free form as a whole."""
    for key, value in content.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, dict) and CHART.get(place) is not dict:
            yield from leaves(value, place)
        else:
            yield place, value


def resources(content: dict[str, Any]) -> dict[str, dict[str, dict[str, str]]]:
    """Return what each part asks for."""
    return {
        path: value for path, value in leaves(content) if path.endswith("resources")
    }


@each_file
def test_every_key_is_the_chart_s_and_has_its_type(name: str) -> None:
    for path, value in leaves(values(name)):
        assert path in CHART, path
        if value is None:
            assert path in NULLABLE
        else:
            assert type(value) is CHART[path], path


@each_file
def test_every_quantity_is_one_of_kubernetes(name: str) -> None:
    parts = resources(values(name))
    assert parts
    for part in parts.values():
        assert part.keys() == {"requests", "limits"}
        assert part["limits"].keys() == {"memory"}
        for amounts in part.values():
            assert all(_QUANTITY.fullmatch(amount) for amount in amounts.values())


@each_file
def test_no_file_holds_a_password(name: str) -> None:
    paths = [path for path, _ in leaves(values(name))]
    secret = [path for path in paths if re.search("password|token|pass$", path, re.I)]
    assert secret == []
    assert "sk-ant" not in str(values(name))


def test_options_are_plain_values() -> None:
    sections = values("values.yaml")["config"]
    assert all(
        isinstance(value, str | int | bool)
        for options in sections.values()
        for value in options.values()
    )


def test_variables_are_pairs_of_texts() -> None:
    for entry in values("values.yaml")["env"]:
        assert entry.keys() == {"name", "value"}
        assert all(isinstance(text, str) for text in entry.values())


def test_what_may_stop_a_night_runs_twice() -> None:
    content = values("values.yaml")
    for part in ("scheduler", "triggerer", "apiServer"):
        assert content[part]["replicas"] >= 2
        assert content[part]["podDisruptionBudget"]["enabled"]


def test_a_worker_has_time_to_send_a_batch_before_it_is_killed() -> None:
    celery = values("values.yaml")["workers"]["celery"]
    pods = values("values-kubernetes.yaml")["workers"]["kubernetes"]
    assert celery["terminationGracePeriodSeconds"] > SubmitTiming().send
    assert pods["terminationGracePeriodSeconds"] > SubmitTiming().send
    keda = celery["keda"]
    assert keda["cooldownPeriod"] > celery["terminationGracePeriodSeconds"]
