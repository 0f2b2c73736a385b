"""What a hurried person types into the form."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.support.stores import moto_url, opener  # noqa: F401 - a fixture

from nightbatch.airflow import ports, runs
from nightbatch.errors import NoBucket


@pytest.mark.parametrize(
    "typed", ["dt=2026-11-21", "/dt=2026-11-21", "dt=2026-11-21/", "/dt=2026-11-21/"]
)
def test_a_partition_means_the_same_with_and_without_slashes(typed: str) -> None:
    assert runs.partition(typed, {}) == "dt=2026-11-21"


def test_a_bucket_that_is_not_there_is_named_and_not_tried_again(moto_url: str) -> None:  # noqa: F811
    opener(moto_url)
    with (
        pytest.raises(AirflowFailException, match=r"s3://misspelt/in/.*no such bucket"),
        ports.final_errors(),
    ):
        list(opener(moto_url)("s3://misspelt/in/").list(""))
    with pytest.raises(NoBucket):
        opener(moto_url)("s3://misspelt/out/").create("probe", b"")
