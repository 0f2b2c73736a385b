"""Ports for the command line: from Airflow's connections where flags name them, else from the environment.

Without `--aws-conn` boto3 finds credentials as it always does (AWS_* variables, profile, role), what is written is
encrypted as NIGHTBATCH_S3_EXTRA_ARGS (JSON, such as `{"ServerSideEncryption": "aws:kms"}`) says, and without
`--anthropic-conn` the SDK reads ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL: no Airflow is needed then, nor imported.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from nightbatch.airflow.connections import extra_args, policy
from nightbatch.errors import SettingsError
from nightbatch.spec.locations import parse

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_s3 import S3Client

    from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
    from nightbatch.io.s3 import S3Store


def arguments(parser: ArgumentParser, *, api: bool = True) -> None:
    """Add the flags that say where credentials come from."""
    parser.add_argument(
        "--aws-conn",
        metavar="ID",
        help="an Airflow connection; without it, boto3's own credentials",
    )
    if api:
        help_text = "an Airflow connection; without it, ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL"
        parser.add_argument("--anthropic-conn", metavar="ID", help=help_text)


def run_name(text: str) -> str:
    """Check the name of a run as the ledger writes it, such as `ticket_triage/manual__2026-11-21`."""
    dag_id, _, run_id = text.partition("/")
    if not dag_id or not run_id or not text.isprintable():
        raise ArgumentTypeError(
            f"{text!r} is not of the form DAG_ID/RUN_ID, such as ticket_triage/manual__2026-11-21"
        )
    return text


def store(url: str, options: Namespace) -> S3Store:
    """Open a store below a URL."""
    if options.aws_conn:
        from nightbatch.airflow import ports

        return ports.store(url, options.aws_conn)
    location = parse(url, "URL", root=True)
    policy().check_place(location, "URL")
    from nightbatch.columnar.allocator import choose_allocator
    from nightbatch.io.anthropic_sdk.client import quiet
    from nightbatch.io.s3 import S3Store, filesystem

    choose_allocator()
    quiet()
    session, s3_client = _s3(options)
    return S3Store(
        url,
        s3_client,
        lambda: filesystem(s3_client, session.get_credentials()),
        extra_args(),
    )


def _s3(options: Namespace) -> tuple[Session, S3Client]:
    """Return the session and client of all stores of a command: to make them takes a fifth of a second of CPU."""
    if "s3" not in options:
        import boto3

        session = boto3.Session()
        options.s3 = (session, session.client("s3"))
    shared: tuple[Session, S3Client] = options.s3
    return shared


def batches(options: Namespace) -> AnthropicBatches:
    """Open the Message Batches API."""
    if options.anthropic_conn:
        from nightbatch.airflow import ports

        return ports.batches(options.anthropic_conn)
    import anthropic

    from nightbatch.io.anthropic_sdk.batches import AnthropicBatches

    client = anthropic.Anthropic()
    if not client.api_key and not client.auth_token:
        raise SettingsError(
            "no API key: set ANTHROPIC_API_KEY, or name an Airflow connection by --anthropic-conn."
        )
    return AnthropicBatches(client)


def has_api_key(options: Namespace) -> bool:
    """Tell whether a key is named, with which tokens can be counted."""
    return bool(options.anthropic_conn or os.environ.get("ANTHROPIC_API_KEY"))
