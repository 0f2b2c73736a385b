"""The files of docs/deploy, and what Airflow itself says of options, commands and classes: read, not imported."""

from __future__ import annotations

import ast
import re
import runpy
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from tests.support.pages import ROOT

DEPLOY = ROOT / "docs" / "deploy"
HELM = DEPLOY / "helm"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ENVIRONMENT_FILE = DEPLOY / "systemd" / "airflow.env.example"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
    "project"
]
_REQUIREMENT = re.compile(r"nightbatch\[([\w,$%{}]+)\]")


def texts() -> dict[str, str]:
    """Return every file of docs/deploy, and the page about production, by its path below docs/."""
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    files.append(ROOT / "docs" / "production.md")
    return {str(path.relative_to(ROOT / "docs")): path.read_text() for path in files}


def airflow_folder() -> Path:
    """Return the folder of the installed Airflow, without importing it."""
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def airflow_options() -> set[tuple[str, str]]:
    """Return the options, as (section, option), of Airflow and of its providers for Celery and Amazon."""
    folder = airflow_folder()
    core_file = folder / "config_templates" / "config.yml"
    sections: list[dict[str, Any]] = [yaml.safe_load(core_file.read_text())]
    for provider in ("celery", "amazon"):
        file = folder / "providers" / provider / "get_provider_info.py"
        provider_info = runpy.run_path(str(file))["get_provider_info"]
        sections.append(provider_info()["config"])
    options = set()
    for group in sections:
        for section, content in group.items():
            options |= {(section, option) for option in content["options"]}
    return options


def values(name: str) -> dict[str, Any]:
    """Read one of the files for the Helm chart."""
    content: dict[str, Any] = yaml.safe_load((HELM / name).read_text())
    return content


def environment() -> dict[str, str]:
    """Read the environment file of the systemd units, as systemd does: quotes around a value are not part of it."""
    pairs = dict[str, str]()
    for line in ENVIRONMENT_FILE.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            pairs[name] = value.strip("'")
    return pairs


def arguments_of(dotted_class: str) -> set[str]:
    """Return the names of the arguments that a class of Airflow takes, from its source."""
    module, _, class_name = dotted_class.rpartition(".")
    below = Path(*module.split(".")[1:]).with_suffix(".py")
    source_file = airflow_folder() / below
    tree = ast.parse(source_file.read_text())
    (definition,) = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == class_name
    ]
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return {argument.arg for argument in node.args.args} - {"self"}
    return set()


def extras_named(text: str) -> set[str]:
    """Return the extras of nightbatch that a text installs, variables left out."""
    lists = _REQUIREMENT.findall(text)
    return {name for part in lists for name in part.split(",") if "$" not in name}
