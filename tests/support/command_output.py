"""What a command prints for a program."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightbatch.__main__ import main


def result(command: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run a command with --json, and return what it prints."""
    assert main([*command, "--json"]) == 0
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value
