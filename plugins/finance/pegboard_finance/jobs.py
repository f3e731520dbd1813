"""Background work, and when it starts by itself."""

from pegboard_sdk import ExternalJob, Schedule

from pegboard_finance.service.payments import SETTLE_PAYMENTS, SettlePayments
from pegboard_finance.service.returns import RETURN_PAYMENT

__all__ = ("JOBS", "SCHEDULES")

JOBS: tuple[ExternalJob, ...] = (SETTLE_PAYMENTS, RETURN_PAYMENT)

SCHEDULES: tuple[Schedule, ...] = (
    Schedule(name="finance.settle_payments", cron="* * * * *", job=SETTLE_PAYMENTS, payload=SettlePayments()),
)
