"""Rounding the platform's fee."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard_finance.service.fees import platform_fee

AMOUNTS = st.integers(0, 10**12)
BASIS_POINTS = st.integers(0, 10_000)


@given(AMOUNTS, BASIS_POINTS)
def test_the_fee_is_the_nearest_minor_unit_and_halves_go_to_the_platform(amount: int, basis_points: int):
    exact = Fraction(amount * basis_points, 10_000)
    assert Fraction(-1, 2) < platform_fee(amount, basis_points) - exact <= Fraction(1, 2)


@given(AMOUNTS, BASIS_POINTS)
def test_the_fee_is_never_more_than_the_amount(amount: int, basis_points: int):
    assert 0 <= platform_fee(amount, basis_points) <= amount


@given(AMOUNTS, AMOUNTS, BASIS_POINTS)
def test_paying_more_never_costs_a_smaller_fee(one: int, other: int, basis_points: int):
    low, high = sorted((one, other))
    assert platform_fee(low, basis_points) <= platform_fee(high, basis_points)


@pytest.mark.parametrize(
    ("amount", "basis_points", "fee"),
    [(10_000, 1_000, 1_000), (5, 1_000, 1), (4, 1_000, 0), (1, 5_000, 1), (1, 4_999, 0), (7, 10_000, 7), (7, 0, 0)],
)
def test_examples(amount: int, basis_points: int, fee: int):
    assert platform_fee(amount, basis_points) == fee
