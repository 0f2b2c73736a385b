"""What can go wrong on the local stack.

NightbatchError
└── LocalError            look at this machine
    ├── HomeBusy              another stack runs in this home: stop it, or choose another home
    ├── HomeForeign           the home holds files that no stack has written: choose another
    ├── MissingExtra          an extra of the package is not installed: install it
    ├── PortTaken             a port that was asked for by number is in use
    ├── ServiceDied           a process ended by itself: read its log
    ├── NotReady              a process did not become healthy in time: read its log
    ├── AirflowRefused        the REST API refused a call: read its response
    └── NightFailed           a run of the demo did not succeed
"""

from __future__ import annotations

from nightbatch.errors import NightbatchError


class LocalError(NightbatchError):
    """The local stack cannot go on."""


class HomeBusy(LocalError):
    """Another stack runs in this home."""


class HomeForeign(LocalError):
    """The home holds files that no stack has written."""


class MissingExtra(LocalError):
    """An extra of the package is not installed."""


class PortTaken(LocalError):
    """The port is in use."""


class ServiceDied(LocalError):
    """A process of the stack ended by itself."""


class NotReady(LocalError):
    """A process of the stack did not become healthy in time."""


class AirflowRefused(LocalError):
    """Airflow's REST API refused a call."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class NightFailed(LocalError):
    """A run did not succeed."""
