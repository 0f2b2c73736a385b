"""A mistake in an `Enrichment` is an error when it is made, which names the parameter and says what to write."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ValidationInfo,
    field_validator,
    model_validator,
)
from tests.support.mistakes import GOOD, MISTAKES, Stars, enrichment

from nightbatch.errors import AnswerTypeError, InputError, SettingsError
from nightbatch.spec.enrichment import Enrichment, Prompt
from nightbatch.spec.parameters.answers import AnswerWarning
from nightbatch.spec.parameters.combinations import check_authored
from nightbatch.spec.parameters.descriptions import DESCRIPTIONS
from nightbatch.spec.parameters.prompts import PromptWarning

NAMED_MISTAKES = [
    pytest.param(changes, message, id=f"{number}-{'-'.join(changes)}")
    for number, (changes, message) in enumerate(MISTAKES)
]


@pytest.mark.parametrize(("changes", "message"), NAMED_MISTAKES)
def test_a_mistake_is_refused_when_the_enrichment_is_made(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        enrichment(**changes)


@pytest.mark.parametrize(("changes", "message"), NAMED_MISTAKES)
def test_a_mistake_is_refused_where_a_copy_is_changed(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        replace(enrichment(), **changes)


@pytest.mark.parametrize("name", DESCRIPTIONS)
@pytest.mark.parametrize("value", [object(), {1: 2}, b"text", [None], {"a"}])
def test_a_value_of_a_type_that_no_parameter_has_is_refused_by_name(
    name: str, value: Any
) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: .* must be "):
        enrichment(**{name: value})


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_none_is_refused_by_name_unless_it_means_something(name: str) -> None:
    types = {field.name: str(field.type) for field in fields(Enrichment)}
    if types[name] == "Any" or types[name].endswith("None"):
        assert getattr(enrichment(**{name: None}), name) is None
    else:
        with pytest.raises(
            SettingsError, match=f"^{name}: None must be|^{name}: a value"
        ):
            enrichment(**{name: None})


def test_what_a_run_changes_is_checked_too() -> None:
    with pytest.raises(SettingsError, match=r"^attempts: 7 must be"):
        enrichment().override({"attempts": 7})


def test_a_name_that_nothing_has_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(SettingsError, match=r"'modle'\. Did you mean 'model'"):
        enrichment().override({"modle": "x"})


def test_no_error_shows_a_prompt() -> None:
    secret = "the-customer-s-own-words"
    for changes in (
        {"prompt": [secret]},
        {"system": [secret]},
        {"prompt": f"{secret} {{{{ body"},
    ):
        with pytest.raises(InputError) as raised:
            enrichment(**changes)
        assert secret not in str(raised.value)


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(SettingsError) as raised:
        enrichment(canary=["x" * 5_000])
    assert len(str(raised.value)) < 300


def test_an_enrichment_may_leave_to_the_form_what_a_run_cannot_do_without() -> None:
    blank = Enrichment(source="", target="", prompt="", model="")
    with pytest.raises(SettingsError, match="source: is missing; write one such as"):
        blank.check()
    blank.override(GOOD).check()


@pytest.mark.parametrize("name", ["source", "target", "model", "prompt"])
def test_what_is_missing_is_refused_unless_the_dag_declares_it(name: str) -> None:
    incomplete = enrichment(**{name: ""})
    check_authored(incomplete, {name})
    with pytest.raises(SettingsError, match=f"^{name}: is "):
        check_authored(incomplete, set())


def test_a_table_needs_a_state() -> None:
    table = enrichment(target="", table="lake.triage")
    check_authored(table, {"state"})
    with pytest.raises(SettingsError, match="state: is needed with table"):
        check_authored(table, {"target"})


def test_an_approval_that_nobody_is_ever_asked_for_is_refused() -> None:
    with pytest.raises(
        SettingsError, match="approve_above_usd: 10 is above max_cost_usd: 5"
    ):
        check_authored(enrichment(approve_above_usd=10, max_cost_usd=5), set())
    with pytest.raises(SettingsError, match="approvers: nobody is asked without"):
        check_authored(enrichment(approvers=["finance"]), set())
    check_authored(enrichment(approvers=["finance"]), {"approve_above_usd"})
    check_authored(enrichment(approve_above_usd=5, max_cost_usd=5), set())


def test_a_drift_of_a_column_that_the_output_lacks_is_refused() -> None:
    checks = {"drift": {"columns": ["star"]}}
    settings = enrichment(checks=checks, answer=Stars)
    with pytest.raises(
        SettingsError,
        match=r"drift names star, which is no column of the output\. Did you mean 'stars'",
    ):
        check_authored(settings, {"model"})
    check_authored(settings, {"answer_schema"})
    check_authored(
        enrichment(checks={"drift": {"columns": ["stars", "_status"]}}, answer=Stars),
        set(),
    )


@pytest.mark.parametrize("user", ["", " \n", None])
def test_a_prompt_without_a_template_is_refused(user: Any) -> None:
    with pytest.raises(SettingsError, match=r"^prompt: is empty"):
        Prompt(user)
    with pytest.raises(SettingsError, match=r"^prompt: is empty"):
        Prompt.parse("Only a system part.\n---\n")


def test_a_prompt_file_that_is_missing_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^prompt: prompts/none\.md is not below "):
        Prompt.read("none.md")


def test_a_prompt_file_that_is_no_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTBATCH_INCLUDE", str(tmp_path))
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "odd.md").write_bytes(b"\xff{{ body }}")
    with pytest.raises(
        SettingsError, match=r"^prompt: .*odd\.md cannot be read: UnicodeDecodeError"
    ):
        Prompt.read("odd.md")


def test_a_system_part_is_given_once() -> None:
    with pytest.raises(SettingsError, match=r"^system: the Prompt has a system part"):
        enrichment(prompt=Prompt("{{ body }}", system="Be brief."), system="Be kind.")
    beside = enrichment(prompt=Prompt("{{ body }}"), system="Be kind.")
    assert beside.system_text == "Be kind."
    assert beside.override({"prompt": "Now: {{ body }}"}).system_text == "Be kind."


def test_a_system_part_that_looks_like_a_template_is_warned_of() -> None:
    with pytest.warns(PromptWarning, match="the system part is no template") as caught:
        Enrichment(**GOOD, system="You read {{ body }}.")
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.filterwarnings("error")
def test_a_system_part_may_speak_of_templates() -> None:
    enrichment(system="A ticket may hold templates such as `{{ name }}`.")


class Range(BaseModel):
    """An answer with rules in Python."""

    low: int
    high: int

    @field_validator("low")
    @classmethod
    def low_is_even(cls, low: int) -> int:
        assert low % 2 == 0
        return low

    @model_validator(mode="after")
    def in_order(self) -> Range:
        assert self.low <= self.high
        return self


def trimmed(text: str, _: ValidationInfo | None = None) -> str:
    return text.strip()


class Ranges(BaseModel):
    """An answer that holds such answers."""

    name: Annotated[str, AfterValidator(trimmed)]
    ranges: list[Range] | None


def test_validators_that_will_not_be_run_are_named() -> None:
    named = (
        r"^answer: Range\.in_order, Range\.low_is_even, Ranges\.name will not be run"
    )
    with pytest.warns(AnswerWarning, match=named) as caught:
        Enrichment(**GOOD, answer=Ranges)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.filterwarnings("error")
def test_a_model_without_validators_is_not_warned_of() -> None:
    enrichment(answer=Stars)


class Wordless(BaseModel):
    """A model whose schema cannot be made, for a reason that nothing says."""

    @classmethod
    def __get_pydantic_json_schema__(cls, *_: Any) -> Any:
        raise ValueError


def test_an_answer_model_without_a_schema_is_refused_with_what_is_known_of_it() -> None:
    with pytest.raises(
        AnswerTypeError, match="answer: Wordless has no JSON schema: ValueError"
    ):
        enrichment(answer=Wordless)


def test_checking_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from tests.support.mistakes import Stars, enrichment\n"
        "enrichment(answer=Stars, partition='dt={partition_key}')\n"
        "print([name for name in ('pyarrow', 'numpy', 'minijinja', 'jsonschema_rs', 'boto3') if name in sys.modules])\n"
    )
    root = Path(__file__).parents[4]
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        text=True,
        capture_output=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
