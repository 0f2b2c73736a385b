"""What is checked when a batch is created: the envelope and the custom_ids. Params are checked when it runs."""

import mmap
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.settings import Limits

MOST_ID_CHARACTERS = 64
CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ID_CHARACTERS = re.compile(r"[a-zA-Z0-9_-]*")
_BRACE = ord("{")
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_WORDING = (
    (re.compile(r"Object missing required field `(\w+)`"), "Field required"),
    (
        re.compile(r"Object contains unknown field `(.+?)`"),
        "Extra inputs are not permitted",
    ),
    (re.compile(r"Expected `str`.*()"), "Input should be a valid string"),
    (re.compile(r"Expected `array`.*()"), "Input should be a valid list"),
    (re.compile(r"Expected `object`.*()"), "Input should be a valid dictionary"),
)


class Item(msgspec.Struct, forbid_unknown_fields=True):
    """One request of a batch; `params` stay the bytes they came as."""

    custom_id: str
    params: msgspec.Raw


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[Item]


_decoder = msgspec.json.Decoder(_Envelope)


def open_items(path: Path) -> list[Item]:
    """Split a create body on disk; its pages are mapped, not copied, for as long as the items live."""
    body_bytes = path.stat().st_size
    if body_bytes == 0:
        return read_items(b"")
    with path.open("rb") as body_file:
        file_number = body_file.fileno()
        body = mmap.mmap(file_number, 0, access=mmap.ACCESS_READ)
    return read_items(body)


def read_items(body: bytes | mmap.mmap) -> list[Item]:
    """Split a create body, about 1.5 GB a second. Raise the API's 400 when it is not an envelope."""
    try:
        return _decoder.decode(body).requests
    except msgspec.ValidationError as error:
        raise invalid(_api_message(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error


def check_items(items: Sequence[Item], limits: Limits) -> None:
    """Raise the API's 400 for an empty or too long list and for every custom_id that it rejects."""
    if not items:
        raise invalid(
            "requests: List should have at least 1 item after validation, not 0"
        )
    if len(items) > limits.max_requests:
        raise invalid(
            f"requests: List should have at most {limits.max_requests} items after validation, not {len(items)}"
        )
    if not _all_good(items):
        _raise_first_error(items)


def _all_good(items: Sequence[Item]) -> bool:
    """Tell whether no item is to be rejected: all at once, in half of the time that it takes one by one."""
    custom_ids = [item.custom_id for item in items]
    if len(set(custom_ids)) < len(custom_ids):
        return False
    lengths = set(map(len, custom_ids))
    if min(lengths) < 1 or max(lengths) > MOST_ID_CHARACTERS:
        return False
    if not _ID_CHARACTERS.fullmatch("".join(custom_ids)):
        return False
    return all(memoryview(item.params)[0] == _BRACE for item in items)


def _raise_first_error(items: Sequence[Item]) -> None:
    seen_ids: set[str] = set()
    for number, item in enumerate(items):
        custom_id = item.custom_id
        if not CUSTOM_ID.fullmatch(custom_id):
            raise invalid(f"requests.{number}.custom_id: {_id_error(custom_id)}")
        if custom_id in seen_ids:
            raise invalid(
                f"requests.{number}.custom_id: Duplicate custom_id '{custom_id}'; it must be unique"
            )
        seen_ids.add(custom_id)
        if memoryview(item.params)[0] != _BRACE:
            raise invalid(
                f"requests.{number}.params: Input should be a valid dictionary"
            )


def too_large() -> ApiError:
    """Return the 413 of a body over the limit."""
    return ApiError("request_too_large", "Request exceeds the maximum size")


def _id_error(custom_id: str) -> str:
    if not custom_id:
        return "String should have at least 1 character"
    if len(custom_id) > MOST_ID_CHARACTERS:
        return "String should have at most 64 characters"
    return "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"


def _api_message(message: str) -> str:
    """Turn a message of msgspec into the API's: `requests.3.custom_id: Field required`."""
    for pattern, api_message in _WORDING:
        match = pattern.match(message)
        if match:
            field_name = match.group(1)
            location = _location(message, field_name)
            return f"{location}: {api_message}" if location else api_message
    return message


def _location(message: str, field_name: str) -> str:
    """Return where a message of msgspec says the error is, as `requests.3.custom_id`."""
    place_match = _PLACE.search(message)
    place = place_match.group(1) if place_match else ""
    keys = [*re.split(r"[.\[\]]+", place), field_name]
    return ".".join(filter(None, keys))
