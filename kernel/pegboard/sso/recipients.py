"""Who may have what came of a log-in: the browser or the app that began it, and nobody who got hold of its code."""

import hmac

from pegboard.sso.errors import SsoCodeInvalid
from pegboard.sso.flows import ProvenFlow
from pegboard.sso.state import challenge_of, digest

__all__ = ("require_recipient",)


def require_recipient(flow: ProvenFlow | None, *, verifier: str | None, browser: str | None) -> ProvenFlow:
    """The flow, if it was begun by who has the app's `verifier`, or the cookie's secret `browser`.

    Raises:
        SsoCodeInvalid: it was not, or there is none.
    """
    if flow is None:
        raise SsoCodeInvalid
    if flow.code_challenge is not None:
        known = verifier is not None and hmac.compare_digest(challenge_of(verifier), flow.code_challenge)
    else:
        known = (
            browser is not None
            and flow.browser_digest is not None
            and hmac.compare_digest(digest(browser), flow.browser_digest)
        )
    if not known:
        raise SsoCodeInvalid
    return flow
