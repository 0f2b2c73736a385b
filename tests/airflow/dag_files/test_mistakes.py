"""A mistake in a DAG file is an import error that names the parameter, in the words of the table of mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.mistakes import MISTAKES

from nightbatch.local.stack.environment import plain_env
from nightbatch.local.stack.settings import PROJECT

DAG_FILE = """
from airflow.sdk import DAG
from nightbatch import enrich
from tests.support.mistakes import MISTAKES, enrichment

with DAG("mistake_{number}", schedule=None):
    enrich(enrichment(**MISTAKES[{number}][0]))
"""
INCOMPLETE = """
from airflow.sdk import DAG
from nightbatch import Enrichment, Prompt, enrich

with DAG("{name}", schedule=None, params={params}):
    enrich({argument})
"""
FILLED = 'source="s3://lake/a/", target="s3://lake/b/", prompt="Say: {{ a }}"'
AUTHORED = {
    "empty_model": ("{}", f"Enrichment({FILLED})", "model: is missing"),
    "declared_model": ('{"model": "claude-haiku-4-5"}', f"Enrichment({FILLED})", None),
    "empty_form": ("{}", "", "source: is missing"),
    "empty_prompt": ("{}", 'Enrichment("s3://lake/a/", prompt=Prompt(""))', "prompt: is empty"),
    "no_file": ("{}", 'Enrichment("s3://lake/a/", prompt=Prompt.read("none.md"))', "prompt: prompts/none.md is not"),
    "high_approval": (
        "{}",
        f'Enrichment({FILLED}, model="m", approve_above_usd=10, max_cost_usd=5)',
        "approve_above_usd: 10 is above max_cost_usd: 5",
    ),
}  # fmt: skip
"""DAGs by name: their Params, what is enriched, and how the import error begins; None: there is none."""
VALIDATED = """
from airflow.sdk import DAG
from pydantic import BaseModel, model_validator
from nightbatch import Enrichment, enrich

class Mood(BaseModel):
    happy: bool

    @model_validator(mode="after")
    def is_plausible(self):
        return self

with DAG("validated", schedule=None):
    enrich(Enrichment(source="s3://lake/a/", target="s3://lake/b/", prompt="{{ a }}", model="m", answer=Mood))
"""
"""A DAG whose answer has a validator, which is not run: no mistake that keeps it from running."""
LIST_ERRORS = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps([sorted(bag.dags), bag.import_errors, bag.captured_warnings]))
"""


class Parsed(NamedTuple):
    """What Airflow makes of DAG files: the DAGs, and the import errors and warnings by the file's name."""

    dag_ids: list[str]
    errors: dict[str, str]
    warnings: dict[str, list[str]]


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Parsed:
    """Have Airflow parse a DAG file for each mistake."""
    home = tmp_path_factory.mktemp("mistakes")
    folder = home / "dags"
    folder.mkdir()
    for number in range(len(MISTAKES)):
        (folder / f"mistake_{number}.py").write_text(DAG_FILE.format(number=number))
    for name, (params, argument, _) in AUTHORED.items():
        text = INCOMPLETE.format(name=name, params=params, argument=argument)
        (folder / f"{name}.py").write_text(text)
    (folder / "validated.py").write_text(VALIDATED)
    environment = plain_env() | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins")]),
    }
    command = [sys.executable, "-c", LIST_ERRORS, str(folder)]
    ran = subprocess.run(
        command, env=environment, text=True, capture_output=True, check=True
    )
    dag_ids, errors, warnings = json.loads(ran.stdout.splitlines()[-1])
    return Parsed(
        dag_ids,
        {Path(file).stem: text for file, text in errors.items()},
        {Path(file).stem: texts for file, texts in warnings.items()},
    )


def test_every_mistake_is_an_import_error_that_names_the_parameter(
    parsed: Parsed,
) -> None:
    for number, (_, message) in enumerate(MISTAKES):
        assert message in parsed.errors[f"mistake_{number}"]


def test_what_a_dag_lacks_is_an_import_error_unless_a_param_sets_it(
    parsed: Parsed,
) -> None:
    assert parsed.dag_ids == ["declared_model", "validated"]
    for name, (_, _, message) in AUTHORED.items():
        assert (message is None) == (name not in parsed.errors)
        assert message is None or message in parsed.errors[name]


def test_a_validator_is_a_warning_at_the_line_of_the_dag_file_that_names_it(
    parsed: Parsed,
) -> None:
    assert parsed.warnings.keys() == {"validated"}
    (warning,) = parsed.warnings["validated"]
    line_number = VALIDATED.splitlines().index('with DAG("validated", schedule=None):')
    assert f"validated.py:{line_number + 2}: " in warning
    assert "answer: Mood.is_plausible will not be run" in warning
    assert "Field(ge=1)" in warning
    assert "`checks`" in warning
