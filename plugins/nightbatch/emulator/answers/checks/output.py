"""Checks of the form that an answer is to have: its schema, and the effort for it."""

from functools import lru_cache

import msgspec

from nightbatch.emulator.answers.checks.schema_rules import check_schema
from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.wire import Params

_EFFORTS = {"low", "medium", "high", "xhigh", "max", None}


def check_output(frame: Params) -> None:
    """Raise the error of an output that cannot be had."""
    config = frame.get("output_config")
    if config is None:
        return
    if not isinstance(config, dict):
        raise invalid("output_config: Input should be a valid dictionary")
    if config.get("effort") not in _EFFORTS:
        raise invalid(
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"
        )
    output_format = config.get("format")
    if output_format is not None:
        _check_format(output_format)


def _check_format(output_format: object) -> None:
    if not isinstance(output_format, dict):
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    if output_format.get("type") != "json_schema":
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    schema = output_format.get("schema")
    if not isinstance(schema, dict):
        raise invalid("output_config.format.schema: Field required")
    schema_error = _schema_error(msgspec.json.encode(schema))
    if schema_error:
        raise invalid(schema_error)


@lru_cache(maxsize=1_024)
def _schema_error(schema: bytes) -> str | None:
    try:
        check_schema(msgspec.json.decode(schema))
    except ApiError as error:
        return error.message
    return None
