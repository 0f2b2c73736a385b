"""Checks of what a request says about thinking."""

from nightbatch.emulator.answers.models import Model
from nightbatch.emulator.errors import invalid
from nightbatch.emulator.wire import Params

_THINKING_TYPES = {"enabled", "disabled", "adaptive", "between_tools"}


def check_thinking(params: Params, model: Model) -> None:
    """Raise the error of thinking that is malformed, or that the model cannot do."""
    thinking = params.get("thinking")
    if thinking is None:
        return
    thinking_type = type_of_thinking(thinking)
    if thinking_type not in _THINKING_TYPES:
        raise invalid(
            "thinking: Input tag is not one of 'enabled', 'disabled', 'adaptive', 'between_tools'"
        )
    if model.steers_itself and thinking_type in {"enabled", "disabled"}:
        raise invalid(
            f'"thinking.type.{thinking_type}" is not supported for this model.'
            ' Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        )
    if thinking_type == "enabled":
        _check_budget(thinking.get("budget_tokens"), params["max_tokens"])


def type_of_thinking(thinking: object) -> object:
    """Return the type in what a request says about thinking; None where there is none."""
    if not isinstance(thinking, dict):
        return None
    return thinking.get("type")


def _check_budget(budget_tokens: object, max_tokens: int) -> None:
    if not isinstance(budget_tokens, int) or budget_tokens < 1_024:
        raise invalid(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        )
    if budget_tokens >= max_tokens:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
