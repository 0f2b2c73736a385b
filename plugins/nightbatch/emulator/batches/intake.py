"""What is checked at once when a batch is created: the envelope and the custom_ids. Params are not looked at."""

import mmap
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.settings import Limits

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
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
    with path.open("rb") as body:
        empty = not path.stat().st_size
        return read_items(
            b"" if empty else mmap.mmap(body.fileno(), 0, access=mmap.ACCESS_READ)
        )


def read_items(body: bytes | mmap.mmap) -> list[Item]:
    """Split a create body, about 1.5 GB a second. Raise the API's 400 when it is not an envelope."""
    try:
        return _decoder.decode(body).requests
    except msgspec.ValidationError as error:
        raise invalid(_in_its_words(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error


def check_items(items: Sequence[Item], limits: Limits) -> None:
    """Raise the API's 400 for an empty or too long list and for every custom_id that it would not take."""
    if not items:
        raise invalid(
            "requests: List should have at least 1 item after validation, not 0"
        )
    if len(items) > limits.max_requests:
        most = f"at most {limits.max_requests} items after validation, not {len(items)}"
        raise invalid(f"requests: List should have {most}")
    seen: set[str] = set()
    for number, item in enumerate(items):
        if not CUSTOM_ID.fullmatch(item.custom_id):
            raise invalid(f"requests.{number}.custom_id: {_fault_of(item.custom_id)}")
        if item.custom_id in seen:
            raise invalid(
                f"requests.{number}.custom_id: Duplicate custom_id '{item.custom_id}'; it must be unique"
            )
        seen.add(item.custom_id)
        if bytes(memoryview(item.params)[:1]) != b"{":
            raise invalid(
                f"requests.{number}.params: Input should be a valid dictionary"
            )


def too_large() -> ApiError:
    """Return the 413 of a body over the limit."""
    return ApiError("request_too_large", "Request exceeds the maximum size")


def _fault_of(custom_id: str) -> str:
    if not custom_id:
        return "String should have at least 1 character"
    if len(custom_id) > 64:
        return "String should have at most 64 characters"
    return "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"


def _in_its_words(message: str) -> str:
    """Turn msgspec's words into the API's: `requests.3.custom_id: Field required`."""
    found = _PLACE.search(message)
    place = found.group(1) if found else ""
    steps = [step for step in re.split(r"[.\[\]]+", place) if step]
    for pattern, words in _WORDING:
        if match := pattern.match(message):
            steps += [match.group(1)] if match.group(1) else []
            return f"{'.'.join(steps)}: {words}" if steps else words
    return message
