"""What is wrong with a template itself is found without rows, and said with its place and what there is instead."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nightbatch.errors import TemplateError
from nightbatch.template.language.syntax import check_syntax
from nightbatch.template.template import Template

WRONG = {
    "{% if body %}": "Unexpected end of template. .* needs to be closed is 'if', at line 1, column 12",
    "a\n{{ body | trunkate }}": r"no filter 'trunkate' \(did you mean 'truncate'\?\), at line 2, column 11 of the "
    r"template: \{\{ body \| trunkate \}\}\.",
    "{% if a %}{{ body | trunkate }}{% endif %}": "no filter 'trunkate'",
    "{{ body | upper(3) }}": r"filter 'upper' takes other arguments: \(\), at line 1, column 11",
    "{{ body | truncate(len=3) }}": r"'truncate' takes other arguments: \(length=255, killwords=False",
    "{% filter upcase %}{% endfilter %}": "no filter 'upcase'",
    "{{ a is strin }}": r"no test 'strin' \(did you mean 'string'\?\)",
    "{{ a is divisibleby }}": r"test 'divisibleby' takes other arguments: \(num\)",
    "{{ now() }}": "no function 'now'; there are range, dict",
    "{{ lipsum() }}": "no function 'lipsum'",
    "{% include 'a' %}": "'include' cannot be used: a prompt is one template",
    "{% import 'a' as a %}": "'import' cannot be used",
    "{% from 'a' import b %}": "'from' cannot be used",
    "{% extends 'a' %}": "'extends' cannot be used",
    "{% autoescape true %}{% endautoescape %}": "'autoescape' cannot be used",
    "{% do a %}": "unknown tag 'do'",
    "{{ body | truncate(4000 }}": r"unexpected '}', expected '\)', at line 1, column 25",
    "{{ body $ }}": "unexpected char '\\$', at line 1, column 9",
    "{{ a b }}": "expected token 'end of print statement', got 'b', at line 1, column 6",
    "{{ '\\x4' }}": "at line 1, column 4",
    "{{ " + "1" * 5_000 + " }}": "a number in the template is too large",
    "{{ " + "(" * 3_000 + "a": "nested too deeply",
    "{% if a %}" * 200 + "{% endif %}" * 200: "nested too deeply",
    "{{ a" + "|d" * 60_000 + " }}": "more than 100,000 words",
}
IMPORTS = """
import sys
import nightbatch
from nightbatch.template.language.syntax import check_syntax
check_syntax("{{ body | truncate(100) }}")
print([name for name in ("pyarrow", "numpy", "airflow") if name in sys.modules])
"""


@pytest.mark.parametrize("text", WRONG)
def test_a_template_that_is_not_well_formed_is_refused_without_rows(text: str) -> None:
    with pytest.raises(TemplateError, match=f"prompt: .*{WRONG[text]}"):
        check_syntax(text)
    with pytest.raises(TemplateError, match=f"prompt: .*{WRONG[text]}"):
        Template(text).check_syntax()


def test_the_check_computes_nothing_of_the_template() -> None:
    check_syntax("{{ 'a' * 10 ** 10 }}{{ 'x' | center(10 ** 10) }}{{ 9 ** 9 ** 9 }}")
    check_syntax(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    )


def test_the_check_imports_no_arrow() -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("{{ a }} {{ b }}", ["a", "b"]),
        ("{% for a in b %}{{ a }}{{ c }}{{ loop.index }}{% endfor %}", ["b", "c"]),
        ("{% if not a %}{% set a = 'x' %}{% endif %}{{ a }}", ["a"]),
        ("{% if a %}{% set t = 'x' %}{% endif %}{{ t }}", ["a"]),
        ("{% set t = t %}{{ t }}", ["t"]),
        ("{% set ns = namespace(n=a) %}{% set ns.n = b %}{{ ns.n }}", ["a", "b"]),
        ("{% macro m(a) %}{{ a }}{{ b }}{% endmacro %}{{ m(c) }}", ["b", "c"]),
        ("{% macro m(a) %}{% endmacro %}{{ a }}", ["a"]),
        ("{% set t %}{{ a }}{% endset %}{{ t }}", ["a"]),
        ("{{ range }} {{ dict(x=1).x }} {{ loop }}", ["loop", "range"]),
        ("{% with v = a %}{{ v }}{% endwith %}", ["a"]),
        ("{% raw %}{{ a }}{% endraw %}{# {{ b }} #}", []),
    ],
)  # fmt: skip
def test_columns_are_the_names_that_a_template_reads_and_does_not_set(
    text: str, columns: list[str]
) -> None:
    assert list(Template(text).columns) == columns
