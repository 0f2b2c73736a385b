"""A cluster policy of the tests' stack: what fails is tried again after seconds, not after half a minute."""

from __future__ import annotations

from datetime import timedelta
from typing import Any


def task_policy(task: Any) -> None:
    """Shorten the pause before a retry."""
    task.retry_delay = timedelta(seconds=2)
    task.retry_exponential_backoff = 0
