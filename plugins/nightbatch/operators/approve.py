"""Approval as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.execution_time.hitl import HITLUser

from nightbatch.core.facts import RunRef
from nightbatch.hooks import ports

if TYPE_CHECKING:
    from airflow.sdk import Context


class ApproveOperator(ApprovalOperator):
    """Let a human decide before anything is bought that may cost more than `approve_above_usd`.

    A purchase below that passes at once. The task waits without worker or trigger; a rejection, and a deadline that
    passes without an answer, skip all that comes after: the run ends well, having bought nothing.

    :param run: the reference that `prepare` returned.
    :param approvers: ids of the users who may answer, as the auth manager gives them (SimpleAuthManager: the names);
        none: whoever may act on the task.
    """

    template_fields = ("run",)
    ui_color = "#fef7e0"

    def __init__(self, *, run: Any, approvers: Sequence[str] = (), **kwargs: Any) -> None:
        assigned = [HITLUser(id=user, name=user) for user in approvers] or None
        super().__init__(
            subject="Buy?",
            defaults=self.REJECT,
            ignore_downstream_trigger_rules=True,
            assigned_users=assigned,
            **kwargs,
        )
        self.run = run

    def execute(self, context: Context) -> Any:
        ref = RunRef.from_xcom(self.run)
        if ref.approve_above_usd is None:
            return None

        from nightbatch.core.approval import question
        from nightbatch.steps.quote import quote

        with ports.final_errors():
            offer = quote(ref, ports.ledger(ref.state, ref.aws_conn_id), ports.now, ports.counts(ref))
            asked = question(ref, offer.estimate, asked=offer.asked, notes=offer.notes)
        self.log.info("%d requests to buy: %s.", offer.estimate.requests, offer.estimate.told)
        if asked is None:
            return None
        self.subject, self.body = asked.subject, asked.body
        self.response_timeout = timedelta(hours=ref.approve_within_hours)
        return super().execute(context)
