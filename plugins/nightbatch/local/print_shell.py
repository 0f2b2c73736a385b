"""The lines that point a shell at a running stack: its connections for Airflow, its S3 for boto3 and the commands."""

from __future__ import annotations

import shlex

from nightbatch.local.stack.environment import connections
from nightbatch.local.stack.settings import ACCESS_KEY, API_KEY, REGION, SECRET_KEY

CONNECTION_PREFIX = "AIRFLOW_CONN_"


def shell_lines(*, s3_url: str, emulator_url: str) -> list[str]:
    """Return four `export` lines: the two connections, what boto3 reads, and what the commands need for the API."""
    connection_values = connections(s3_url=s3_url, emulator_url=emulator_url)
    connection_lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in connection_values.items()
        if name.startswith(CONNECTION_PREFIX)
    ]
    aws_line = (
        f"export AWS_ENDPOINT_URL={s3_url} AWS_DEFAULT_REGION={REGION}"
        f" AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}"
    )
    api_line = f"export ANTHROPIC_BASE_URL={emulator_url} ANTHROPIC_API_KEY={API_KEY}"
    return [*connection_lines, aws_line, api_line]
