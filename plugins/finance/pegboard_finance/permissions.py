"""Who may do what with money."""

from pegboard_sdk import Permission, RoleGrant

__all__ = (
    "ESCROW_CANCEL",
    "ESCROW_FUND",
    "ESCROW_READ",
    "ESCROW_REFUND",
    "ESCROW_RELEASE",
    "GRANTS",
    "LEDGER_READ",
    "PAYMENT_RETURN",
    "PERMISSIONS",
    "REFUND_APPROVE",
    "WALLET_READ",
)

ESCROW_READ = "finance:escrow.read"
ESCROW_FUND = "finance:escrow.fund"
ESCROW_REFUND = "finance:escrow.refund"
REFUND_APPROVE = "finance:refund.approve"
WALLET_READ = "finance:wallet.read"
LEDGER_READ = "finance:ledger.read"

# Not permissions: nobody asks for these over HTTP. They are what the audit trail calls what happens by itself.
ESCROW_RELEASE = "finance:escrow.release"
ESCROW_CANCEL = "finance:escrow.cancel"
PAYMENT_RETURN = "finance:payment.return"

PERMISSIONS: tuple[Permission, ...] = (
    Permission(ESCROW_READ, "see the escrows that they pay or are paid from"),
    Permission(ESCROW_FUND, "pay the escrows that they owe"),
    Permission(ESCROW_REFUND, "give a payer's money back, and see any escrow"),
    Permission(REFUND_APPROVE, "approve refunds over the limit that somebody else asked for, and see any escrow"),
    Permission(WALLET_READ, "see their balance and statement"),
    Permission(LEDGER_READ, "see the trial balance"),
)

GRANTS: tuple[RoleGrant, ...] = (
    RoleGrant("member", (ESCROW_READ, ESCROW_FUND, WALLET_READ)),
    RoleGrant("administrator", (ESCROW_READ, ESCROW_REFUND, REFUND_APPROVE, LEDGER_READ)),
    RoleGrant("finance_clerk", (ESCROW_READ, ESCROW_REFUND, LEDGER_READ)),
    RoleGrant("finance_controller", (ESCROW_READ, REFUND_APPROVE, LEDGER_READ)),
)
