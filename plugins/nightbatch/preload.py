"""What tasks import late, imported at once: for processes that tasks are forked from.

Named in `[core] mp_forkserver_preload`, with `[scheduler] mp_start_method = forkserver`, it spares each task of
LocalExecutor up to two seconds of CPU. It opens no connection.
"""

from __future__ import annotations

from importlib import import_module

from airflow.sdk.listener import get_listener_manager

LATE = (
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.anthropic.hooks.anthropic",
    "pyarrow.compute",
    "pyarrow.fs",
    "pyarrow.parquet",
    "nightbatch.airflow.dag",
    "nightbatch.io.anthropic_api",
    "nightbatch.io.s3",
    "nightbatch.prepare.media_fetch",
    "nightbatch.submit.purchase",
    "nightbatch.prepare.prepare",
    "nightbatch.publish.publish",
    "nightbatch.plan.offer",
)

for name in LATE:
    import_module(name)
get_listener_manager()  # else each task would load the plugins of all providers again
