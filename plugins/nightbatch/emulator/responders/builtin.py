"""The responders that come with the emulator: for any schema or none, and for support tickets. All are pure."""

from collections.abc import Mapping
from typing import Any

from nightbatch.emulator.answers.prompt import last_text, output_schema
from nightbatch.emulator.reply import Answer, Reply
from nightbatch.emulator.responders.instance import instance
from nightbatch.emulator.responders.tickets import FIELDS, is_ticket_schema, triage
from nightbatch.emulator.responders.words import Chance, sentence
from nightbatch.emulator.wire import Json, Params


class schema:  # noqa: N801 - the name that `--responder` takes
    """Answer with an instance of the schema asked for; a forced tool is called; without either, one sentence."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __call__(self, params: Json) -> Answer:
        text = last_text(params)
        answer_schema = output_schema(params)
        if answer_schema is not None:
            answer: Answer = self.instance(answer_schema, text)
            return answer
        forced_tool = _forced_tool(params)
        if forced_tool is not None:
            return self._tool_use(forced_tool, text)
        chance = Chance(text, self.seed)
        return sentence(text, chance)

    def instance(self, wanted: Mapping[str, Any], text: str) -> Any:
        return instance(wanted, text, seed=self.seed)

    def _tool_use(self, tool: Mapping[str, Any], text: str) -> Reply:
        input_schema = tool.get("input_schema", {"type": "object"})
        tool_block = {
            "type": "tool_use",
            "id": "toolu_01",
            "name": tool.get("name"),
            "input": self.instance(input_schema, text),
        }
        return Reply(content=[tool_block], stop_reason="tool_use")


class tickets(schema):  # noqa: N801
    """Answer a support ticket by what its text says; any other schema as `schema` does."""

    def instance(self, wanted: Mapping[str, Any], text: str) -> Any:
        if not is_ticket_schema(wanted):
            return instance(wanted, text, seed=self.seed)
        other_fields = {}
        if not FIELDS.issuperset(wanted["properties"]):
            other_fields = instance(wanted, text, seed=self.seed)
        return other_fields | triage(text)


def _forced_tool(params: Params) -> Mapping[str, Any] | None:
    choice = params.get("tool_choice")
    if not isinstance(choice, Mapping):
        return None
    choice_type = choice.get("type")
    for tool in params.get("tools") or []:
        if not isinstance(tool, Mapping):
            continue
        if choice_type == "any":
            return tool
        if choice_type == "tool" and tool.get("name") == choice.get("name"):
            return tool
    return None
