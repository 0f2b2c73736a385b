"""What a DAG author writes: a dataset, a prompt and the columns wanted. Has few imports, since DAG files load it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from nightbatch.environment import INCLUDE, read
from nightbatch.errors import SettingsError
from nightbatch.spec import billed_params, locations
from nightbatch.spec.checks import Checks, is_within
from nightbatch.spec.locations import RESERVED, parse, partition_path
from nightbatch.spec.media_roots import MediaRoots
from nightbatch.spec.rules import MAX_BYTES, MAX_REQUESTS, Rules

CANARY = ("new", "always", "never")


@dataclass(frozen=True)
class Prompt:
    """A system part, shared by all rows and cached, and a user part, a template over the columns of a row."""

    user: str
    system: str | None = None

    @classmethod
    def read(cls, name: str) -> Prompt:
        """Read `include/prompts/<name>`: the system part, a line `---`, the user part. Without that line: user only.

        The folder is looked for in NIGHTBATCH_INCLUDE, then beside the calling file and its parents.
        """
        caller = sys._getframe(1).f_globals.get("__file__", ".")  # noqa: SLF001
        path = _find(Path("prompts") / name, Path(caller))
        return cls.parse(path.read_text(encoding="utf-8"))

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

    :param source: URL of the Parquet dataset, such as `s3://lake/tickets/`.
    :param target: URL of the folder that receives the partitions.
    :param partition: path of the partition below source and target, such as `dt=2026-11-21`; empty: the dataset
        as it is. `{partition_key}` stands for the run's partition key (else yesterday's date, UTC).
    :param key: columns that identify a row; checked to be unique and not null. May be empty.
    :param keep: columns carried over; default: those of the key.
    :param prompt: a `Prompt`, or the user template as a text.
    :param system: the system part, where `prompt` is a text.
    :param answer: a pydantic model of the answer, or None for one text column.
    :param answer_schema: the same as a JSON schema.
    :param model: the model's id.
    :param max_tokens: most tokens that one answer may have.
    :param params: any other Messages parameters.
    :param allow_params: names of Messages parameters that cost more than tokens or reach other hosts (`tools` that run
        on the server, `mcp_servers`, `container`, …) and that `params` may hold all the same.
    :param media_roots: URLs, such as `s3://bucket/folder/` and `https://host/path/`, below which the addresses of
        images and documents must lie; default: the source's bucket, and any `https://` address.
    :param attempts: how often a request without a result is sent in one run.
    :param canary: whether one small batch is sent first: `new` (never answered before), `always` or `never`.
    :param reuse: take answers that an earlier run has bought.
    :param limit: at most this many rows.
    :param max_cost_usd: most that one run may cost; refuse to buy what may cost more.
    :param max_monthly_cost_usd: most that the target may cost in a calendar month (UTC).
    :param approve_above_usd: ask a human before buying what may cost more than this.
    :param approve_within_hours: without an answer by then, nothing is bought.
    :param approvers: ids of the Airflow users who may approve (SimpleAuthManager: their names; FAB: their numbers), but
        not a run of their own; empty: everybody who may answer the task.
    :param min_answered: share of rows, 0 to 1, below which the run fails and publishes nothing.
    :param allow_empty: publish a partition without rows although the one before it has some.
    :param checks: what is checked before publishing; see `nightbatch.spec.checks.Checks.read`.
    :param max_batch_requests: most requests of one batch (the API's limit: 100,000).
    :param max_batch_bytes: most bytes of one batch's body (the API's limit: 256 MB).
    :param max_in_flight_requests: most requests in the account's queue, from all senders.
    :param poll_seconds: longest pause between two requests for a batch's status.
    :param cancel_on_fail: cancel the batches of a task that a human marks failed.
    :param deadline_hours: cancel what has not ended by then and publish what there is.
    :param state: URL of the ledger; default: `_nightbatch/` beside the target.
    :param table: an Iceberg table, `namespace.table`, instead of `target`; `state` is needed then.
    :param iceberg_conn_id: the connection of the table's catalog.
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
        if unknown_names := sorted(params.keys() - parameter_names):
            raise SettingsError(
                f"unknown parameter {', '.join(map(repr, unknown_names))}. "
                f"Known: {', '.join(sorted(parameter_names))}."
            )
        changes = self._changes(params)
        if "answer_schema" in changes:
            changes["answer"] = None
        return replace(self, **changes)

    def _changes(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of a run's parameters that count; a changed half of a `Prompt` brings its other half along."""
        clearable_names = {
            parameter.name for parameter in fields(self) if parameter.default is None
        }
        changes = {
            name: value
            for name, value in params.items()
            if value is not None or name in clearable_names
        }
        changes_prompt = "prompt" in changes or "system" in changes
        if changes_prompt and isinstance(self.prompt, Prompt):
            changes.setdefault("prompt", self.prompt.user)
            changes.setdefault("system", self.prompt.system)
        return changes

    @property
    def user_template(self) -> str:
        """The user part of the prompt."""
        return self.prompt.user if isinstance(self.prompt, Prompt) else self.prompt

    @property
    def system_text(self) -> str | None:
        """The system part of the prompt, or None."""
        if isinstance(self.prompt, Prompt):
            return self.prompt.system or None
        return self.system or None

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

    def check(self) -> None:
        """Refuse what cannot work, before anything is read or bought."""
        self._check_table()
        output_names = [] if self.table else ["target"]
        for name in ("source", *output_names, "model"):
            value = getattr(self, name)
            if not str(value or "").strip():
                raise SettingsError(f"{name}: is missing.")
        if not self.user_template.strip():
            raise SettingsError(
                "prompt: is empty; it is a template such as 'Summarise: {{ body }}'."
            )
        self._check_places()
        self._check_numbers()
        Checks.read(self.checks)
        has_cap = self.max_cost_usd is not None or self.max_monthly_cost_usd is not None
        billed_params.check(self.params, self.allow_params, capped=has_cap)
        for name in ("key", "keep", "allow_params", "approvers", "media_roots"):
            value = getattr(self, name)
            listed_names = list(value or ())
            has_duplicates = len(set(listed_names)) != len(listed_names)
            if isinstance(value, str) or has_duplicates:
                raise SettingsError(f"{name}: must be a list of different names.")

    def _check_table(self) -> None:
        if not self.table:
            return
        if self.target:
            raise SettingsError(
                "table: stands in the place of target; give one of them."
            )
        if not self.state:
            raise SettingsError(
                "state: is needed with table, such as s3://lake/_nightbatch/ticket_triage/."
            )
        if "." not in self.table.strip("."):
            raise SettingsError(
                f"table: {self.table!r} must be a name such as lake.ticket_triage."
            )

    def _check_places(self) -> None:
        source = parse(self.source, "source")
        state = parse(self.state_url, "state")
        target = None if self.table else parse(self.target, "target")
        data_places = {"source": source}
        if target is not None:
            data_places["target"] = target
        for name, location in data_places.items():
            if location.is_reserved:
                raise SettingsError(
                    f"{name}: {location} lies in {RESERVED}/, where nightbatch keeps its state."
                )
        if target is not None and target.overlaps(source):
            raise SettingsError(
                f"target: {target} and source: {source} lie inside each other; use separate folders."
            )
        if state.segments[-1] == RESERVED:
            raise SettingsError(
                f"state: {state} holds the states of all targets; name a folder in it."
            )
        for name, location in data_places.items():
            if location.overlaps(state):
                raise SettingsError(
                    f"state: {state} and {name}: {location} lie inside each other; separate them."
                )
        MediaRoots.read(self.media_roots, self.source)
        partition_path(self.partition)

    def _check_numbers(self) -> None:
        if self.canary not in CANARY:
            raise SettingsError(
                f"canary: {self.canary!r} must be one of {', '.join(CANARY)}."
            )
        limits: dict[str, tuple[float, float]] = {
            "max_tokens": (1, float("inf")),
            "attempts": (1, 5),
            "min_answered": (0, 1),
            "limit": (1, float("inf")),
            "max_batch_requests": (1, MAX_REQUESTS),
            "max_batch_bytes": (1_000, MAX_BYTES),
            "max_in_flight_requests": (1, float("inf")),
            "max_cost_usd": (0, float("inf")),
            "max_monthly_cost_usd": (0, float("inf")),
            "approve_above_usd": (0, float("inf")),
            "approve_within_hours": (0.001, 24 * 7),
            "poll_seconds": (0.05, 3600),
            "deadline_hours": (0, 24 * 29),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not is_within(value, low, high):
                raise SettingsError(
                    f"{name}: {value!r} must be a number from {low:g} to {high:g}."
                )


def _find(name: Path, caller: Path) -> Path:
    roots = _include_folders(caller)
    for root in roots:
        path = root / name
        if path.is_file():
            return path
    parents_note = " or a parent's include/" if len(roots) > 1 else ""
    raise SettingsError(f"{name} is not below {roots[0]}{parents_note}.")


def _include_folders(caller: Path) -> list[Path]:
    """Name the folders in which included files are searched, in their order."""
    include_folder = read(INCLUDE)
    if include_folder:
        return [Path(include_folder)]
    parents = [*caller.resolve().parents, Path.cwd()]
    return [parent / "include" for parent in parents]
