"""What several queries share: texts of constants. Values are always parameters."""

__all__ = ("price", "utc")


def price(alias: str) -> str:
    """A row's price as `pegboard_sdk.Money` is encoded."""
    return f"json_build_object('amount', {alias}.price_amount, 'currency', {alias}.currency) AS price"


def utc(column: str) -> str:
    """A `timestamptz` as other answers write times: `2026-11-24T09:30:00.000000Z`."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
