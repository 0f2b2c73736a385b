"""The HTTP library that the installed SDK sends with: `httpx` up to anthropic 0.x, `httpx2` from 1.0 on.

Both may be installed, since other packages need one of them; errors and responses are always those of the SDK's own.
`httpx2` kept the names and the behavior of what is used of it here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import anthropic

if TYPE_CHECKING:
    import httpx2 as http
else:
    _, *_client_bases = anthropic.DefaultHttpxClient.__mro__
    _library_name, _, _ = _client_bases[0].__module__.partition(".")
    http = import_module(_library_name)

__all__ = ["http"]
