"""The responders that come with the emulator: for any schema or none, and for support tickets. All are pure."""

from collections.abc import Mapping
from typing import Any

from nightbatch.emulator.answers.prompt import last_text, output_schema
from nightbatch.emulator.reply import Answer, Reply
from nightbatch.emulator.responders.instance import instance
from nightbatch.emulator.responders.tickets import FIELDS, is_ticket_schema, triage
from nightbatch.emulator.responders.words import Chance, sentence


class schema:  # noqa: N801 - named as it stands in `--responder`
    """Answer with an instance of the schema asked for; a forced tool is called; without either, one sentence."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __call__(self, params: dict[str, Any]) -> Answer:
        text = last_text(params)
        wanted = output_schema(params)
        if wanted is not None:
            made: Answer = self.instance(wanted, text)
            return made
        if (tool := _forced_tool(params)) is not None:
            return self._tool_use(tool, text)
        return sentence(text, Chance(text, self.seed))

    def instance(self, wanted: Mapping[str, Any], text: str) -> Any:
        return instance(wanted, text, seed=self.seed)

    def _tool_use(self, tool: Mapping[str, Any], text: str) -> Reply:
        call = self.instance(tool.get("input_schema", {"type": "object"}), text)
        block = {
            "type": "tool_use",
            "id": "toolu_01",
            "name": tool.get("name"),
            "input": call,
        }
        return Reply(content=[block], stop_reason="tool_use")


class tickets(schema):  # noqa: N801
    """Answer a support ticket by what its text says; any other schema as `schema` does."""

    def instance(self, wanted: Mapping[str, Any], text: str) -> Any:
        if not is_ticket_schema(wanted):
            return instance(wanted, text, seed=self.seed)
        more = (
            {}
            if FIELDS.issuperset(wanted["properties"])
            else instance(wanted, text, seed=self.seed)
        )
        return more | triage(text)


def _forced_tool(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choice = params.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    tools = [tool for tool in params.get("tools") or [] if isinstance(tool, Mapping)]
    if kind == "any":
        return tools[0] if tools else None
    if kind == "tool" and isinstance(choice, Mapping):
        return next(
            (tool for tool in tools if tool.get("name") == choice.get("name")), None
        )
    return None
