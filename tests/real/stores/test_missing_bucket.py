"""A bucket that is not there is named, and not tried again."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.support.servers.stores import opener

from nightbatch.airflow import ports
from nightbatch.errors import NoBucket


def test_a_bucket_that_is_not_there_is_named_and_not_tried_again(moto_url: str) -> None:
    opener(moto_url)
    with (
        pytest.raises(AirflowFailException, match=r"s3://misspelt/in/.*no such bucket"),
        ports.final_errors(),
    ):
        list(opener(moto_url)("s3://misspelt/in/").list(""))
    with pytest.raises(NoBucket):
        opener(moto_url)("s3://misspelt/out/").create("probe", b"")
