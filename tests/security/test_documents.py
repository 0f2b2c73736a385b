"""The policies in the documentation are valid and narrow; `test_iam.py` holds them to what is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def allowed(name: str) -> set[str]:
    """Read which actions a policy allows."""
    policy = json.loads((DOCS / "iam" / f"{name}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    assert all(statement["Effect"] == "Allow" and statement["Resource"] != ["*"] for statement in policy["Statement"])
    return {action for statement in policy["Statement"] for action in statement["Action"]}


@pytest.mark.parametrize("name", ["worker", "reader", "author"])
def test_a_policy_allows_no_more_than_s3_and_its_key(name: str) -> None:
    assert all(action.startswith(("s3:", "kms:")) and "*" not in action for action in allowed(name))


def test_only_the_worker_may_write() -> None:
    for name in ("reader", "author"):
        assert not {"s3:PutObject", "s3:DeleteObject"} & allowed(name)


def test_each_test_that_the_model_of_trust_names_is_there() -> None:
    text = (DOCS / "security.md").read_text()
    names = {part.split("`")[0] for part in text.split("`test_")[1:]}
    assert names
    assert all((Path(__file__).parent / f"test_{name}").is_file() for name in names)
