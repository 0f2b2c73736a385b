"""Checks of tools and of which one must be used."""

from nightbatch.emulator.answers.checks.thinking import type_of_thinking
from nightbatch.emulator.answers.models import Model
from nightbatch.emulator.errors import invalid
from nightbatch.emulator.wire import Json, Params


def check_tools(params: Params, model: Model) -> None:
    """Raise the error of tools that are malformed, or of a choice of one that cannot be used."""
    tools = params.get("tools", [])
    if not _are_objects(tools):
        raise invalid("tools: Input should be a valid list")
    choice = params.get("tool_choice")
    if not isinstance(choice, dict):
        return
    choice_type = choice.get("type")
    if choice_type in {"any", "tool"}:
        _check_forced_tool(params, model)
    if choice_type == "tool":
        _check_name(choice.get("name"), tools)


def _are_objects(tools: object) -> bool:
    if not isinstance(tools, list):
        return False
    return all(isinstance(tool, dict) for tool in tools)


def _check_name(name: object, tools: list[Json]) -> None:
    tool_names = {tool.get("name") for tool in tools}
    if name not in tool_names:
        raise invalid(f"Tool '{name}' not found in provided tools")


def _check_forced_tool(params: Params, model: Model) -> None:
    if model.steers_itself:
        raise invalid(f"tool_choice: forced tool use is not supported for {model.id}")
    thinking_type = type_of_thinking(params.get("thinking"))
    if thinking_type in {"enabled", "adaptive"}:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if not params.get("tools", []):
        raise invalid("tool_choice may only be specified while providing tools")
