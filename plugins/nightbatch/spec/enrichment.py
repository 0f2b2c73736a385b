"""What a DAG author writes: a dataset, a prompt and the columns wanted. Has few imports, since DAG files load it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from nightbatch.environment import INCLUDE, read
from nightbatch.errors import SettingsError
from nightbatch.spec import locations
from nightbatch.spec.locations import parse, partition_path
from nightbatch.spec.parameters import making
from nightbatch.spec.parameters.combinations import check_complete
from nightbatch.spec.parameters.prompts import EMPTY
from nightbatch.spec.parameters.reference import docstring
from nightbatch.spec.rules import Rules
from nightbatch.wording import known_instead, quoted


@dataclass(frozen=True)
class Prompt:
    """A system part, shared by all rows and cached, and a user part, a template over the columns of a row."""

    user: str
    system: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.user, str) or not self.user.strip():
            raise SettingsError(EMPTY)
        if self.system is not None and not isinstance(self.system, str):
            raise SettingsError("system: must be a text.")

    @classmethod
    def read(cls, name: str) -> Prompt:
        """Read `include/prompts/<name>`: the system part, a line `---`, the user part. Without that line: user only.

        The folder is looked for in NIGHTBATCH_INCLUDE, then beside the calling file and its parents.
        """
        caller = sys._getframe(1).f_globals.get("__file__", ".")  # noqa: SLF001
        path = _find(Path("prompts") / name, Path(caller))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = type(error).__name__
            raise SettingsError(f"prompt: {path} cannot be read: {reason}.") from None
        return cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Prompt:
        """Split a text at its first line `---`."""
        lines = text.splitlines(keepends=True)
        stripped_lines = [line.strip() for line in lines]
        if "---" not in stripped_lines:
            return cls(user=text.strip())
        separator_line = stripped_lines.index("---")
        system_part = "".join(lines[:separator_line]).strip()
        user_part = "".join(lines[separator_line + 1 :]).strip()
        return cls(system=system_part or None, user=user_part)


@dataclass(frozen=True)
class Enrichment(Rules):
    """A dataset to be enriched: where it is, what is asked of each row, and what it may cost.

    Its parameters are described in `nightbatch.spec.parameters.descriptions`, from which `help(Enrichment)` and
    docs/parameters.md are written. Raises InputError for a mistake when it is made, and so an import error of the DAG.
    """

    source: str
    target: str = ""
    prompt: Prompt | str = ""
    model: str = ""
    max_tokens: int = 1024
    partition: str = ""
    key: Sequence[str] = ()
    keep: Sequence[str] | None = None
    system: str | None = None
    answer: Any = None
    answer_schema: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    allow_params: Sequence[str] = ()
    media_roots: Sequence[str] | None = None
    limit: int | None = None
    approvers: Sequence[str] = ()
    deadline_hours: float | None = None
    state: str | None = None

    def override(self, params: Mapping[str, Any]) -> Enrichment:
        """Return the same with a run's parameters in place of the attributes of their names.

        An empty field of a form arrives as None: it clears what may be None, and leaves alone what may not.
        """
        parameter_names = {parameter.name for parameter in fields(self)} - {"answer"}
        unknown_names = sorted(params.keys() - parameter_names)
        if unknown_names:
            known_names = sorted(parameter_names)
            instead = known_instead(unknown_names[0], known_names)
            raise SettingsError(f"unknown parameter {quoted(unknown_names)}.{instead}")
        changes = self._changes(params)
        if "answer_schema" in changes:
            changes["answer"] = None
        return replace(self, **changes)

    def _changes(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of a run's parameters that count; a changed half of a `Prompt` brings its other half along."""
        clearable_names = _clearable_names(self)
        changes = {
            name: value
            for name, value in params.items()
            if value is not None or name in clearable_names
        }
        changes_prompt = "prompt" in changes or "system" in changes
        if changes_prompt and isinstance(self.prompt, Prompt):
            changes.setdefault("prompt", self.prompt.user)
            changes.setdefault("system", self.system_text)
        return changes

    @property
    def user_template(self) -> str:
        """The user part of the prompt."""
        return self.prompt.user if isinstance(self.prompt, Prompt) else self.prompt

    @property
    def system_text(self) -> str | None:
        """The system part of the prompt, or None."""
        prompt_system = None if isinstance(self.prompt, str) else self.prompt.system
        return prompt_system or self.system or None

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema of an answer; None for a text."""
        if self.answer is not None:
            model_schema: Mapping[str, Any] = self.answer.model_json_schema()
            return model_schema
        return self.answer_schema or None

    @property
    def kept(self) -> list[str]:
        """Columns of the source that stand in the output: the key first."""
        if self.keep is None:
            return list(self.key)
        other_names = [name for name in self.keep if name not in self.key]
        return [*self.key, *other_names]

    @property
    def state_url(self) -> str:
        """Where the ledger is."""
        if self.state:
            return parse(self.state, "state").url
        return locations.state_url(self.target)

    @property
    def output_name(self) -> str:
        """What names the output in the ledger: the target's URL, or the table."""
        return (
            f"iceberg:{self.table}" if self.table else parse(self.target, "target").url
        )

    @property
    def source_root(self) -> str:
        """The folder of the dataset."""
        return parse(self.source, "source").url

    @property
    def source_url(self) -> str:
        """The folder that holds the partition's files."""
        source_folder = parse(self.source, "source")
        return source_folder.below(partition_path(self.partition)).url

    def __post_init__(self) -> None:
        """Refuse what cannot work, as far as it is set: also what a run or `replace` changes."""
        making.check(self)

    def check(self) -> None:
        """Refuse what is incomplete, before anything is read or bought."""
        check_complete(self)


Enrichment.__doc__ = docstring(Enrichment)


def _clearable_names(settings: Enrichment) -> set[str]:
    """Name the parameters that may be None."""
    parameters = fields(settings)
    return {parameter.name for parameter in parameters if parameter.default is None}


def _find(name: Path, caller: Path) -> Path:
    roots = _include_folders(caller)
    for root in roots:
        path = root / name
        if path.is_file():
            return path
    parents_note = " or a parent's include/" if len(roots) > 1 else ""
    raise SettingsError(
        f"prompt: {name} is not below {roots[0]}{parents_note}. Put the file there, or check its name."
    )


def _include_folders(caller: Path) -> list[Path]:
    """Name the folders in which included files are searched, in their order."""
    include_folder = read(INCLUDE)
    if include_folder:
        return [Path(include_folder)]
    parents = [*caller.resolve().parents, Path.cwd()]
    return [parent / "include" for parent in parents]
