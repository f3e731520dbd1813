"""How a client is told what a sign-in gave."""

from pegboard_sdk.http import Response

from pegboard.identity.schemas import Challenge, TokenPair
from pegboard.identity.sessions import OpenSession, SessionService
from pegboard.work import WorkContext

__all__ = ("NO_STORE", "signed_in")

NO_STORE = {"Cache-Control": "no-store"}
"""Tokens must not stay in a cache (RFC 6749, 5.1)."""


def signed_in(context: WorkContext, outcome: OpenSession | Challenge) -> Response[TokenPair | Challenge]:
    """The answer to a sign-in: 200 with tokens, or 202 with a challenge. Call it after the commit.

    Every route that ends in `after_first_factor`, or that answers its challenge, answers by this.
    """
    if isinstance(outcome, Challenge):
        return Response(outcome, status_code=202, headers=NO_STORE)
    return Response(SessionService(context.runtime).issue(outcome), status_code=200, headers=NO_STORE)
