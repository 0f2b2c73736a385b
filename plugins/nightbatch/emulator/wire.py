"""What goes over the wire, as types."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
"""A JSON object that is read or sent."""
Params = Mapping[str, Any]
"""The params of a request, or those but for its messages."""
Headers = Mapping[str, str]
Betas = frozenset[str]
"""The beta features that a call asks for, by name."""
