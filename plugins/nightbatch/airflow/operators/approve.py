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

    A purchase below that passes at once. The task waits without worker or trigger; a rejection, or a deadline that
    passes without an answer, skips all downstream tasks: the run succeeds and buys nothing.

    :param run: the reference that `prepare` returned.
    :param approvers: ids of the users who may answer, as the auth manager reports them (SimpleAuthManager: the
        names); none: anyone who may act on the task. Named approvers cannot approve a run that they started.
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
        self.run = run
        self.approvers = tuple(approvers)

    def execute(self, context: Context) -> Any:
        with ports.final_errors():
            ref = received(self.run)
        if ref.rules.approve_above_usd is None:
            return None

        from nightbatch.money.approval import approval_form, other_approvers
        from nightbatch.plan.offer import quote

        allowed_approvers: Sequence[str] = ()
        with ports.final_errors():
            run_ledger = ports.ledger(ref.state, ref.rules.aws_conn_id)
            offer = quote(ref, run_ledger, ports.now, ports.counts(ref))
            approval_question = approval_form(
                ref, offer.estimate, asked=offer.asked, notes=offer.notes
            )
            if approval_question is not None:
                allowed_approvers = other_approvers(self.approvers, _starter(context))
        self.log.info(
            "%d requests to buy: %s.", offer.estimate.requests, offer.estimate.summary
        )
        if approval_question is None:
            return None
        self.assigned_users = _assigned(allowed_approvers)
        self.subject = approval_question.subject
        self.body = approval_question.body
        self.response_timeout = timedelta(hours=ref.rules.approve_within_hours)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Continue, or skip the downstream tasks; where approvers are named, nobody approves a run they started."""
        responder = event.get("responded_by_user") or {}
        responder_name = responder.get("name")
        is_own_run = responder_name is not None and responder_name == _starter(context)
        is_approved = self.APPROVE in event.get("chosen_options", ())
        if self.approvers and is_own_run and is_approved:
            raise AirflowFailException(
                "Who starts a run cannot approve it. Clear this task, and let another approve."
            )
        return super().execute_complete(context, event)


def _assigned(approvers: Sequence[str]) -> list[HITLUser] | None:
    """Return users as the API takes them; None: anyone who may act on the task may answer."""
    return [HITLUser(id=user, name=user) for user in approvers] or None


def _starter(context: Context) -> str | None:
    """Return the name of who started the run by hand; None where the clock, an asset or another DAG did."""
    return getattr(context["dag_run"], "triggering_user_name", None)
