"""What the files of docs/deploy set is read by somebody: Airflow, its providers, nightbatch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields

import pytest
from tests.support.deploy import (
    DEPLOY,
    airflow_options,
    arguments_of,
    environment,
    texts,
    values,
)

from nightbatch import environment as variables
from nightbatch.submit.decide import SubmitTiming
from nightbatch.wait.pace import PollTiming

POLICY = (
    variables.ROOTS,
    variables.CONNECTIONS,
    variables.MAX_COST_USD,
    variables.S3_EXTRA_ARGS,
)
_AIRFLOW = re.compile(r"\bAIRFLOW__([A-Z0-9]+(?:_[A-Z0-9]+)*)__([A-Z0-9_]+)\b")
_OPTION = re.compile(r"`\[(\w+)\] (\w+)")
_OURS = re.compile(r"\bNIGHTBATCH_[A-Z0-9]+(?:_[A-Z0-9]+)*\b")


def named_options() -> Iterator[tuple[str, str, str]]:
    """Yield each option of Airflow that a file sets or names: file, section, option."""
    for file, text in texts().items():
        for section, option in _AIRFLOW.findall(text):
            yield file, section.lower(), option.lower()
        for section, option in _OPTION.findall(text):
            yield file, section, option
    for section, options in values("values.yaml")["config"].items():
        for option in options:
            yield "helm/values.yaml", section, option
    for name in mwaa_options():
        section, _, option = name.partition(".")
        yield "mwaa/options.json", section, option


def mwaa_options() -> dict[str, str]:
    """Read the options of the MWAA environment."""
    options: dict[str, str] = json.loads((DEPLOY / "mwaa" / "options.json").read_text())
    return options


def timing_variables() -> set[str]:
    """Return the variables that hold a number of seconds."""
    names = set[str]()
    for record, prefix in (
        (SubmitTiming, variables.SUBMIT_PREFIX),
        (PollTiming, variables.POLL_PREFIX),
    ):
        names |= {f"{prefix}{field.name.upper()}_SECONDS" for field in fields(record)}
    return names


def test_every_option_is_one_of_airflow_s_own() -> None:
    options = list(named_options())
    assert len(options) > 30
    existing = airflow_options()
    assert [
        option for option in options if (option[1], option[2]) not in existing
    ] == []


def test_every_variable_of_ours_is_one_that_is_read() -> None:
    read_names = variables.VARIABLES.keys() | timing_variables()
    unknown = {
        (file, name)
        for file, text in texts().items()
        for name in _OURS.findall(text)
        if name not in read_names
    }
    assert unknown == set()


@pytest.mark.parametrize("name", POLICY)
def test_every_way_to_deploy_shows_the_same_policy(name: str) -> None:
    helm = {entry["name"]: entry["value"] for entry in values("values.yaml")["env"]}
    example = environment()[name]
    assert helm[name] == example
    mwaa = (DEPLOY / "mwaa" / "startup.sh").read_text()
    assert re.search(rf"^export {name}=(['\"]){re.escape(example)}\1$", mwaa, re.M)
    composer = (DEPLOY / "composer" / "environment.sh").read_text()
    (policy,) = re.findall("^policy='(.+)'$", composer, re.M)
    assert f"{name}={example}" in policy.split(";")


def secrets_backends() -> dict[str, tuple[str, str]]:
    """Return the class and the arguments of each file's secrets backend."""
    helm = values("values.yaml")["config"]["secrets"]
    mwaa = mwaa_options()
    systemd = environment()
    return {
        "helm": (helm["backend"], helm["backend_kwargs"]),
        "mwaa": (mwaa["secrets.backend"], mwaa["secrets.backend_kwargs"]),
        "systemd": (
            systemd["AIRFLOW__SECRETS__BACKEND"],
            systemd["AIRFLOW__SECRETS__BACKEND_KWARGS"],
        ),
    }


@pytest.mark.parametrize("way", ["helm", "mwaa", "systemd"])
def test_a_secrets_backend_exists_and_takes_its_arguments(way: str) -> None:
    backend, kwargs = secrets_backends()[way]
    arguments = json.loads(kwargs)
    assert arguments
    assert arguments.keys() <= arguments_of(backend)


@pytest.mark.parametrize("way", ["helm", "mwaa"])
def test_the_secrets_manager_is_asked_for_the_connections_that_a_run_may_name(
    way: str,
) -> None:
    _, kwargs = secrets_backends()[way]
    pattern = json.loads(kwargs)["connections_lookup_pattern"]
    allowed = environment()[variables.CONNECTIONS].split(",")
    assert all(re.match(pattern, name) for name in allowed)
    assert not re.match(pattern, "warehouse_default")


def test_the_file_of_connections_holds_those_that_a_run_may_name() -> None:
    file = DEPLOY / "systemd" / "connections.json.example"
    connections = json.loads(file.read_text())
    allowed = environment()[variables.CONNECTIONS].split(",")
    assert sorted(connections) == sorted(allowed)
    types = {name: connection["conn_type"] for name, connection in connections.items()}
    assert types == {"anthropic_default": "anthropic", "aws_default": "aws"}
