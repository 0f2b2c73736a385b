"""One tree of errors, each named for what the reader must do.

    NightbatchError
    ├── InputError        fix the data or the parameters; a retry changes nothing
    │   ├── SourceError       a file or column of the source
    │   ├── TemplateError     the prompt template
    │   ├── AnswerTypeError   the answer schema
    │   ├── SettingsError     a parameter
    │   └── TargetError       what is, or would be, published
    ├── StoreError        look at the store
    │   ├── StoreUnfit        it lacks conditional writes: use another store
    │   ├── StoreUnavailable  it cannot be reached, or answers 5xx: try again
    │   ├── StoreDenied       credentials or policy
    │   │   └── BadCredentials    the credentials themselves: fix the connection
    │   ├── SourceMoving      the source is being written: try again
    │   ├── LeaseTaken        another run is planning: try again
    │   ├── Absent            an object that must exist does not
    │   │   └── NoBucket          its bucket does not exist either: create it, or fix the URL
    │   └── Unreadable        it exists, but cannot be read
    ├── ApiError          look at the API
    │   ├── NotSent           a definite refusal: nothing was bought; may be sent again
    │   ├── MaybeSent         it may have been bought: check before it is sent again
    │   ├── ApiUnavailable    a read that failed: try again
    │   ├── BatchGone         no such batch, or its results are no longer kept
    │   └── AccountStopped    credit, limit, permission or hold: fix the account, then rerun
    ├── LoadError         look at the warehouse
    │   ├── NotReconciled     its row count is not what was published: nothing was loaded
    │   ├── Republished       the partition is being replaced: try again
    │   └── WarehouseRefused  the database did not do what was asked
    ├── Incomplete        results that do not match the batch's counts
    │   └── NotEnded          the batch still runs: it has no results yet
    ├── CapExceeded       more money than a cap allows: raise it, or send fewer requests
    ├── CanaryRejected    the API rejects requests of this kind: fix prompt, schema, model or params
    ├── ShardsFailed      some batches could not be bought or landed, the others have landed: see why, then rerun
    ├── RunCanceled      a person has canceled the run: start a new one
    └── RunFailed         too few rows were answered: nothing was published

No message holds prompts, row values, answers or keys.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class NightbatchError(Exception):
    """Something went wrong in nightbatch."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)) or type(self).__name__)


class InputError(NightbatchError):
    """The data or the parameters must be fixed."""


class SourceError(InputError):
    """The source dataset cannot be used as it is."""


class TemplateError(InputError):
    """The prompt template cannot be rendered."""


class AnswerTypeError(InputError):
    """The answer schema is not one that the API accepts."""


class SettingsError(InputError):
    """A parameter is missing or out of bounds."""


class TargetError(InputError):
    """The target cannot be written as asked."""


class StoreError(NightbatchError):
    """The object store did not do what was asked."""


class StoreUnfit(StoreError):
    """The object store does not honour conditional writes (If-None-Match)."""


class StoreDenied(StoreError):
    """The object store refused the credentials or the action."""


class BadCredentials(StoreDenied):
    """The object store does not know the credentials, or they have expired."""


class StoreUnavailable(StoreError):
    """The object store did not answer, or asked to be tried later."""


class SourceMoving(StoreError):
    """The source is being written just now."""


class LeaseTaken(StoreError):
    """Another run of the same state plans just now."""

    def __init__(self, message: str, *, until: datetime) -> None:
        """Set `until` to the latest time at which the lease expires if its holder has died."""
        super().__init__(message)
        self.until = until


class Absent(StoreError):
    """An object that must exist does not."""


class NoBucket(Absent):
    """The bucket of a URL does not exist."""


class Unreadable(StoreError):
    """An object exists but cannot be read."""


class ApiError(NightbatchError):
    """The Message Batches API did not do what was asked."""


class NotSent(ApiError):
    """The API refused the batch: nothing was bought."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        retryable: bool = True,
        once: bool = False,
        full: bool = False,
    ) -> None:
        """Set `retryable` if it may be sent again, `once` if only one more time, `full` if the queue is full."""
        super().__init__(message)
        self.retry_after = retry_after
        self.retryable = retryable
        self.once = once
        self.full = full


class MaybeSent(ApiError):
    """The answer to a create was lost: the batch may exist."""


class ApiUnavailable(ApiError):
    """The API could not be read just now."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BatchGone(ApiError):
    """The batch, or its results, no longer exist at the API."""


class AccountStopped(ApiError):
    """The account cannot buy now (credit, spend limit, permission or hold)."""


class LoadError(NightbatchError):
    """The partition could not be loaded into the warehouse."""


class NotReconciled(LoadError):
    """The rows do not tally with `_SUCCESS`: nothing was loaded."""


class Republished(LoadError):
    """The partition is being replaced just now."""


class WarehouseRefused(LoadError):
    """The warehouse did not do what was asked."""


class Incomplete(NightbatchError):
    """The results do not tally with the batch's own counts."""


class NotEnded(Incomplete):
    """The batch still runs: it has no results yet."""


class CapExceeded(NightbatchError):
    """What would be bought may cost more than a cap allows: it was not bought."""


class CanaryRejected(NightbatchError):
    """Every request of the canary was rejected: nothing else was bought."""


class ShardsFailed(NightbatchError):
    """Some batches could not be bought or landed; the others have landed."""


class RunCanceled(NightbatchError):
    """The run was canceled: nothing more is bought for it, and nothing is published."""


class RunFailed(NightbatchError):
    """Too few rows were answered: nothing was published."""


FINAL = (
    InputError,
    AccountStopped,
    CanaryRejected,
    CapExceeded,
    NoBucket,
    NotReconciled,
    RunCanceled,
    RunFailed,
    ShardsFailed,
    StoreDenied,
    StoreUnfit,
)
"""Errors that no retry changes: a person must act first."""
