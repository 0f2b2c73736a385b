"""Approval as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.hitl import HITLUser

from nightbatch.airflow import ports
from nightbatch.airflow.runs import received

if TYPE_CHECKING:
    from airflow.sdk import Context


class ApproveOperator(ApprovalOperator):
    """Let a human decide before anything is bought that may cost more than `approve_above_usd`.

    A purchase below that passes at once. The task waits without worker or trigger; a rejection, and a deadline that
    passes without an answer, skip all that comes after: the run ends well, having bought nothing.

    :param run: the reference that `prepare` returned.
    :param approvers: ids of the users who may answer, as the auth manager gives them (SimpleAuthManager: the names);
        none: whoever may act on the task. Of these, nobody approves a run that they started.
    """

    template_fields = ("run",)
    ui_color = "#fef7e0"

    def __init__(
        self, *, run: Any, approvers: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(
            subject="Buy?",
            defaults=self.REJECT,
            ignore_downstream_trigger_rules=True,
            assigned_users=_assigned(approvers),
            **kwargs,
        )
        self.run, self.approvers = run, tuple(approvers)

    def execute(self, context: Context) -> Any:
        ref = received(self.run)
        if ref.approve_above_usd is None:
            return None

        from nightbatch.money.approval import others, question
        from nightbatch.plan.offer import quote

        with ports.final_errors():
            offer = quote(
                ref,
                ports.ledger(ref.state, ref.aws_conn_id),
                ports.now,
                ports.counts(ref),
            )
            asked = question(ref, offer.estimate, asked=offer.asked, notes=offer.notes)
            approvers = others(self.approvers, _starter(context)) if asked else ()
        self.log.info(
            "%d requests to buy: %s.", offer.estimate.requests, offer.estimate.told
        )
        if asked is None:
            return None
        self.assigned_users = _assigned(approvers)
        self.subject, self.body = asked.subject, asked.body
        self.response_timeout = timedelta(hours=ref.approve_within_hours)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on, or skip what comes after; refuse the approval of who started the run, where approvers are named."""
        person = (event.get("responded_by_user") or {}).get("name")
        is_own_run = person is not None and person == _starter(context)
        if (
            self.approvers
            and is_own_run
            and self.APPROVE in event.get("chosen_options", ())
        ):
            raise AirflowFailException(
                "Who starts a run cannot approve it. Clear this task, and let another approve."
            )
        return super().execute_complete(context, event)


def _assigned(approvers: Sequence[str]) -> list[HITLUser] | None:
    """Return users as the API takes them; None lets whoever may act on the task answer."""
    return [HITLUser(id=user, name=user) for user in approvers] or None


def _starter(context: Context) -> str | None:
    """Name who started the run by hand; None where the clock, an asset or another DAG did."""
    return getattr(context["dag_run"], "triggering_user_name", None)
