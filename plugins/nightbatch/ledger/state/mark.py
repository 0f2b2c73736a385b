"""The mark of a state: the object that says that a folder holds a ledger, and in which form its facts are written."""

from __future__ import annotations

import msgspec

from nightbatch.errors import SettingsError
from nightbatch.ledger import keys
from nightbatch.ports import Store

FORMAT = 1
"""The form of the facts that this version writes. It reads this form and every earlier one."""
MARK = msgspec.json.encode({"format": FORMAT})
"""The content of a state's mark: it never changes, so that creating it again is no conflict."""


def mark(state: Store) -> None:
    """Mark a folder as a state. Raises SettingsError where another program has a file of that name there."""
    if not state.create(keys.MARK, MARK) and not is_mark(state.get(keys.MARK)):
        raise SettingsError(
            f"state: {state.url}{keys.MARK} was not written by nightbatch. Choose another folder for the state."
        )


def has_mark(state: Store) -> bool:
    """Tell whether there is a mark. Raises SettingsError if a newer version of nightbatch has written it.

    It is listed before it is read: a store may answer "denied" for an object that does not exist.
    """
    if not any(state.list(keys.MARK)):
        return False
    body = state.get(keys.MARK)
    state_format = _format_of(body)
    if state_format is None:
        return False
    if state_format > FORMAT:
        raise SettingsError(
            f"state: {state.url} has format {state_format}, of a newer nightbatch; this version reads formats"
            f" up to {FORMAT}. Upgrade nightbatch wherever Airflow runs. Nothing was changed."
        )
    return True


def is_mark(body: bytes) -> bool:
    """Tell the mark of a state from a file of the same name that another program has written."""
    return _format_of(body) is not None


def _format_of(body: bytes) -> int | None:
    """Return the format that a mark names; None for another program's file. Fields of later versions pass."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    state_format = content.get("format")
    if isinstance(state_format, bool) or not isinstance(state_format, int):
        return None
    return state_format
