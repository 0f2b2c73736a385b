"""The policies in the documentation are valid and narrow; `test_iam.py` holds them to what is called."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nightbatch.airflow.connections import EXTRA_ARGS
from nightbatch.io.anthropic_sdk.client import ALLOW_HTTP
from nightbatch.money.prices import VARIABLE as PRICES
from nightbatch.spec.policy import CONNECTIONS, MAX_COST, ROOTS

ROOT = Path(__file__).parents[4]
DOCS = ROOT / "docs"
SECURITY = [ROOT / "tests" / "unit" / "security", ROOT / "tests" / "real" / "security"]
"""Where the tests of abuses stand: those that need no server, and those that do."""


def files_of_security() -> set[str]:
    """Name the files of tests of abuses, without this one."""
    files = [file for folder in SECURITY for file in folder.rglob("test_*.py")]
    return {file.name for file in files} - {Path(__file__).name}


def allowed(name: str) -> set[str]:
    """Read which actions a policy allows."""
    policy = json.loads((DOCS / "iam" / f"{name}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    assert all(
        statement["Effect"] == "Allow" and statement["Resource"] != ["*"]
        for statement in policy["Statement"]
    )
    return {
        action for statement in policy["Statement"] for action in statement["Action"]
    }


@pytest.mark.parametrize("name", ["worker", "reader", "author"])
def test_a_policy_allows_no_more_than_s3_and_its_key(name: str) -> None:
    assert all(
        action.startswith(("s3:", "kms:")) and "*" not in action
        for action in allowed(name)
    )


def test_only_the_worker_may_write() -> None:
    for name in ("reader", "author"):
        assert not {"s3:PutObject", "s3:DeleteObject"} & allowed(name)


def test_each_test_that_the_model_of_trust_names_is_there() -> None:
    text = (DOCS / "security.md").read_text()
    names = re.findall(r"`(test_\w+\.py)`", text)
    paths = re.findall(r"`(tests/[\w/]+\.py)`", text)
    assert names
    assert paths
    assert set(names) - files_of_security() == set()
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_each_test_of_security_stands_in_the_model_of_trust() -> None:
    text = (DOCS / "security.md").read_text()
    missing = {name for name in files_of_security() if f"`{name}`" not in text}
    assert missing == set()


def test_each_variable_of_the_policy_stands_in_the_model_of_trust() -> None:
    text = (DOCS / "security.md").read_text()
    variables = (ROOTS, CONNECTIONS, MAX_COST, EXTRA_ARGS, ALLOW_HTTP, PRICES)
    assert [variable for variable in variables if f"`{variable}`" not in text] == []
