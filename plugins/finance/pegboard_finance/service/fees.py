"""What the platform takes."""

__all__ = ("platform_fee",)

BASIS = 10_000


def platform_fee(amount: int, basis_points: int) -> int:
    """The platform's part of `amount`, in minor units, rounded to the nearest one; halves go to the platform.

    The payee gets the rest, so nothing is lost or made by rounding. Amounts are not negative, and basis points are
    between 0 and 10,000, so the fee is between 0 and the amount.
    """
    return (amount * basis_points + BASIS // 2) // BASIS
