"""The connections that a run names: they exist, have the right type, and the deployment's policy allows them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from nightbatch.environment import S3_EXTRA_ARGS as EXTRA_ARGS
from nightbatch.environment import read
from nightbatch.errors import SettingsError
from nightbatch.spec.policy import Policy

if TYPE_CHECKING:
    from airflow.providers.anthropic.hooks.anthropic import AnthropicHook


def policy() -> Policy:
    """Read the deployment's policy from the environment."""
    return Policy.read(os.environ)


def extra_args() -> dict[str, Any]:
    """Read the arguments of every S3 write of a deployment, such as `{"ServerSideEncryption": "aws:kms"}`."""
    try:
        arguments = json.loads(read(EXTRA_ARGS) or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise SettingsError(
            f'{EXTRA_ARGS}: must be a JSON object such as {{"ServerSideEncryption": "aws:kms"}}.'
        )
    return arguments


def require(conn_id: str, *conn_types: str, name: str) -> Any:
    """Return a connection. `name`: the parameter that names it.

    Raises SettingsError where there is no connection of that id, or one of another type: credentials of another kind
    would be sent to a host that they are not meant for, and a missing connection must not fall back to the worker's
    own role.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    expected_types = " or ".join(conn_types)
    if not conn_id:
        raise SettingsError(
            f"{name}: is empty; name a connection of type {expected_types}."
        )
    policy().check_connection(conn_id, name)
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise SettingsError(
            f"{name}: there is no connection {conn_id!r}. Create it, of type {expected_types}."
        ) from None
    actual_type = connection.conn_type
    if actual_type not in conn_types:
        raise SettingsError(
            f"{name}: connection {conn_id!r} has the type {actual_type!r}, and must have the type {expected_types}."
        )
    return connection


def anthropic_hook(connection: Any) -> AnthropicHook:
    """Return the hook of an `anthropic` connection. Raises SettingsError where its platform has no message batches."""
    from airflow.providers.anthropic.hooks.anthropic import (
        FIRST_PARTY_PLATFORMS,
        AnthropicHook,
    )

    hook = AnthropicHook(conn_id=connection.conn_id)
    if hook.platform not in FIRST_PARTY_PLATFORMS:
        raise SettingsError(
            f"connection {connection.conn_id!r}: platform {hook.platform!r} has no message batches."
        )
    return hook
