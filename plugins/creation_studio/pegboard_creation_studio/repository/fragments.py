"""What several queries share: texts of constants. Values are always parameters."""

__all__ = ("price",)


def price(alias: str) -> str:
    """A row's price as `pegboard_sdk.Money` is encoded."""
    return f"json_build_object('amount', {alias}.price_amount, 'currency', {alias}.currency) AS price"
