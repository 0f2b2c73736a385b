"""From Airflow connections to ports: the object store from the `aws` connection, batches from the `anthropic` one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from nightbatch.airflow.connections import (
    anthropic_hook,
    extra_args,
    policy,
    require,
)
from nightbatch.errors import FINAL, NotSent, StoreUnavailable
from nightbatch.spec.locations import parse
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import submit_timing
from nightbatch.wording import counted

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from mypy_boto3_s3 import S3Client

    from nightbatch.ids import Shard
    from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
    from nightbatch.io.s3 import S3Store
    from nightbatch.ledger.ledger import Ledger
    from nightbatch.plan.quote import TokenCounter
    from nightbatch.submit.purchase import Purchase

UPLOADS = 3
"""Request bodies that are sent at the same time: one alone does not fill a link with a long round trip."""


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class Stores:
    """The stores that are read and written with one `aws` connection.

    They share a session and a client, which take a fifth of a second of CPU to make. The connection's
    `service_config.s3.extra_args`, such as `ServerSideEncryption` and `SSEKMSKeyId`, are sent with every object
    written; NIGHTBATCH_S3_EXTRA_ARGS overrides them, so no connection drops a deployment's encryption.
    """

    def __init__(self, aws_conn_id: str) -> None:
        self._aws_conn_id = aws_conn_id

    def open(self, url: str) -> S3Store:
        """Open a store below a URL. Raises SettingsError for a connection or a place that the run may not use."""
        from nightbatch.columnar.allocator import choose_allocator
        from nightbatch.io.s3 import S3Store, filesystem

        choose_allocator()
        require(self._aws_conn_id, "aws", name="aws_conn_id")
        policy().check_place(parse(url, "URL", root=True), "URL")
        hook = self._hook
        client = self._client
        connection_args = hook.service_config.get("extra_args") or {}
        write_args = {**connection_args, **extra_args()}

        def open_filesystem() -> Any:
            credentials = hook.get_session().get_credentials()
            return filesystem(client, credentials, hook.verify)

        return S3Store(url, client, open_filesystem, write_args)

    @cached_property
    def _hook(self) -> S3Hook:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self._aws_conn_id)

    @cached_property
    def _client(self) -> S3Client:
        from nightbatch.io.anthropic_sdk.client import quiet

        quiet()
        hook = self._hook
        # Not `hook.get_conn()`: to name its caller in the user agent, it takes a quarter second to inspect the stack.
        session = hook.get_session(hook.region_name)
        client: S3Client = session.client(
            "s3",
            endpoint_url=hook.conn_config.get_service_endpoint_url("s3"),
            config=hook.config,
            verify=hook.verify,
        )
        return client


def store(url: str, aws_conn_id: str) -> S3Store:
    """Open one store below a URL with the credentials of an `aws` connection."""
    return Stores(aws_conn_id).open(url)


def ledger(url: str, aws_conn_id: str) -> Ledger:
    """Open the ledger below a state URL. Raises SettingsError if a newer version has written it in another form."""
    from nightbatch.ledger.ledger import Ledger

    state_ledger = Ledger(store(url, aws_conn_id), submit_timing().lease)
    state_ledger.require_readable()
    return state_ledger


def batches(anthropic_conn_id: str) -> AnthropicBatches:
    """Open the Message Batches API with the credentials of an `anthropic` connection."""
    from nightbatch.io.anthropic_sdk.batches import AnthropicBatches

    connection = require(anthropic_conn_id, "anthropic", name="anthropic_conn_id")
    client: Any = anthropic_hook(connection).get_conn()
    return AnthropicBatches(client)


def counts(ref: RunRef) -> TokenCounter:
    """Count tokens with the credentials of a run; the API is opened when the first count is asked for."""
    # A log line for each count would bury the estimate.
    for http_library in ("httpx", "httpx2"):
        logging.getLogger(http_library).setLevel(logging.WARNING)
    open_batches = cache(batches)
    return lambda params: open_batches(ref.rules.anthropic_conn_id).count_tokens(params)


def purchase(ref: RunRef, log: Any, *, admitted: Shard | None) -> Purchase:
    """Open the purchase of a run. `log`: the task's logger, which gets one line per step."""
    from nightbatch.submit.purchase import Purchase

    run_ledger = ledger(ref.state, ref.rules.aws_conn_id)
    run_batches = batches(ref.rules.anthropic_conn_id)
    return Purchase(
        ref,
        run_ledger,
        run_batches,
        now,
        submit_timing(),
        counts(ref),
        admitted=admitted,
        uploads=UPLOADS,
        info=lambda line: log.info("%s", line),
        warning=lambda line: log.warning("%s", line),
    )


@contextmanager
def final_errors() -> Iterator[None]:
    """Fail a task for good where a retry would change nothing; let Airflow retry everything else."""
    try:
        yield
    except FINAL as error:
        raise AirflowFailException(str(error)) from None
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{error} {_tries_left()}") from None
    except NotSent as error:
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from None


def _tries_left() -> str:
    """Say how often Airflow will try the present task again."""
    from airflow.sdk import get_current_context

    try:
        task_instance: Any = get_current_context()["ti"]
    except RuntimeError:
        return "Try again later."
    tries_left = task_instance.max_tries + 1 - task_instance.try_number
    if tries_left <= 0:
        return "Airflow does not try the task again."
    return f"Airflow tries the task {counted(tries_left, 'more time')}."
